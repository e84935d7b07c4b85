import { type Pulse } from '@/features/connection/pulse'
import { usePulse } from '@/features/connection/use-pulse'

const shown: Record<Pulse['state'], { label: string; dot: string }> = {
  connecting: { label: 'Connecting', dot: 'bg-neutral' },
  live: { label: 'Live', dot: 'bg-good live-dot' },
  hidden: { label: 'Paused', dot: 'bg-neutral' },
  retrying: { label: 'Reconnecting', dot: 'bg-warn' },
  old: { label: 'Not current', dot: 'bg-warn' },
  unreachable: { label: 'No connection', dot: 'bg-bad' },
}

export function ConnectionIndicator() {
  const { state } = usePulse()
  const { label, dot } = shown[state]
  return (
    <p className="flex items-center gap-2 text-sm text-muted" role="status" data-connection={state}>
      <span aria-hidden className={`size-2 rounded-full ${dot}`} />
      <span className="sr-only">Connection: </span>
      {label}
    </p>
  )
}
