import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt'
import type { Epoch } from '@gen/tollgate/admin/v1/epoch_pb'

/** Stands for a value that there is none of. */
export const none = '–'

const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 })
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })
const minute = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
})

/** The reader's time zone, as IANA names it. */
export const timeZone = new Intl.DateTimeFormat().resolvedOptions().timeZone

export function toDate(t: Timestamp | undefined): Date | undefined {
  return t && timestampDate(t)
}

/** `generation.number`, as the rules stream names an epoch. */
export function formatEpoch(e: Epoch | undefined): string {
  return e ? `${e.generation}.${e.number}` : none
}

export function compareEpochs(a: Epoch, b: Epoch): number {
  if (a.generation !== b.generation) return a.generation < b.generation ? -1 : 1
  if (a.number !== b.number) return a.number < b.number ? -1 : 1
  return 0
}

export function formatCount(n: bigint | number): string {
  return whole.format(n)
}

/** Rates under ten keep one decimal. */
export function formatRate(perSecond: number): string {
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : whole.format(perSecond)
}

/** SI units: kB is 1,000 bytes. */
export function formatBytes(bytes: bigint): string {
  return scaled(Number(bytes), ['B', 'kB', 'MB', 'GB', 'TB'])
}

export function formatMicros(us: bigint): string {
  return scaled(Number(us), ['µs', 'ms', 's'])
}

function scaled(value: number, units: string[]): string {
  let n = value
  let i = 0
  // What would be shown as 1,000 of a unit is one of the next.
  while (i < units.length - 1 && Number(n.toPrecision(3)) >= 1000) {
    n /= 1000
    i++
  }
  const text = i === 0 ? whole.format(n) : n >= 100 ? whole.format(n) : n.toPrecision(n >= 10 ? 3 : 2)
  return `${text} ${units[i]}`
}

/** A negative lag means that there was no heartbeat yet. */
export function formatLag(ms: bigint): string {
  if (ms < 0n) return 'none yet'
  return ms < 1000n ? `${ms} ms` : formatSpan(Number(ms))
}

/** A length of time in its largest unit, rounded down. */
export function formatSpan(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 86_400) return `${Math.floor(s / 3600)} h`
  const days = Math.floor(s / 86_400)
  return days === 1 ? '1 day' : `${whole.format(days)} days`
}

export function formatAgo(ms: number): string {
  return ms < 2000 ? 'now' : `${formatSpan(ms)} ago`
}

export function formatClock(d: Date): string {
  return clock.format(d)
}

export function formatDay(d: Date): string {
  return day.format(d)
}

export function formatInstant(d: Date): string {
  return minute.format(d)
}
