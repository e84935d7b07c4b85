import { CircleAlert } from 'lucide-react'
import { usePulse } from '@/features/connection/use-pulse'
import { isUnanswered, words } from '@/lib/errors'
import { formatClock, formatSpan } from '@/lib/format'
import { useNow } from '@/lib/use-now'

/** Says that what the page shows is not the present, and why. Silent otherwise. */
export function ConnectionBanner() {
  const pulse = usePulse()
  if (pulse.state === 'unreachable') {
    return (
      <Bar
        tone="bad"
        title={isUnanswered(pulse.error) ? "The control plane can't be reached." : "The control plane can't answer."}
        detail={isUnanswered(pulse.error) ? '' : words(pulse.error)}
      >
        {pulse.answeredAt === null ? 'There is nothing to show yet.' : <Shown at={pulse.answeredAt} />} Trying again each second.
      </Bar>
    )
  }
  if (pulse.state === 'old') {
    return (
      <Bar tone="warn" title="This is not current." detail="The control plane has not answered for a while.">
        <Shown at={pulse.answeredAt} />
      </Bar>
    )
  }
  return null
}

type BarProps = { tone: 'bad' | 'warn'; title: string; detail: string; children: React.ReactNode }

function Bar({ tone, title, detail, children }: BarProps) {
  return (
    <div className={tone === 'bad' ? 'bg-bad-soft text-bad' : 'bg-warn-soft text-warn'} data-banner={tone}>
      <div className="page flex gap-2.5 py-2 text-sm">
        <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
        <p>
          {/* Told once: the age beside it changes each second. */}
          <strong role="alert" className="font-semibold">{title}</strong>{' '}
          <span>{detail} {children}</span>
        </p>
      </div>
    </div>
  )
}

function Shown({ at }: { at: number }) {
  const age = Math.max(0, useNow() - at)
  return <>Shown is what it answered at {formatClock(new Date(at))}, {formatSpan(age)} ago.</>
}
