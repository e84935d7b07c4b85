import { formatClock } from '@/lib/format'

/** When the control plane gave the answer that is shown. */
export function AsOf({ at }: { at: number }) {
  if (at === 0) return null
  return <span className="text-xs whitespace-nowrap text-muted tabular-nums">as of {formatClock(new Date(at))}</span>
}
