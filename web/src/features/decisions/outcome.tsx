import { CircleCheck, CircleHelp, Hourglass, OctagonX } from 'lucide-react'
import { Badge } from '@/components/badge'

export const outcomes = ['forward', 'throttle', 'block'] as const
export type Outcome = (typeof outcomes)[number]

export function isOutcome(value: unknown): value is Outcome {
  return outcomes.some((o) => o === value)
}

const looks = {
  forward: { tone: 'good', icon: CircleCheck },
  throttle: { tone: 'warn', icon: Hourglass },
  block: { tone: 'bad', icon: OctagonX },
} as const

export function OutcomeBadge({ outcome }: { outcome: string }) {
  const { tone, icon } = isOutcome(outcome) ? looks[outcome] : ({ tone: 'neutral', icon: CircleHelp } as const)
  return <Badge tone={tone} icon={icon}>{outcome || 'unknown'}</Badge>
}
