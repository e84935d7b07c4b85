import { Ban, CircleCheck, CircleHelp, Clock, EyeOff, OctagonX, Snowflake, TriangleAlert } from 'lucide-react'
import { Badge } from '@/components/badge'

const states = {
  fresh: { tone: 'good', icon: CircleCheck },
  stale: { tone: 'warn', icon: Clock },
  grace: { tone: 'warn', icon: TriangleAlert },
  block: { tone: 'bad', icon: OctagonX },
  frozen: { tone: 'bad', icon: Snowflake },
  silent: { tone: 'bad', icon: EyeOff },
  blocked: { tone: 'bad', icon: Ban },
} as const

/** A node's state in the server's word. */
export function NodeState({ state }: { state: string }) {
  const { tone, icon } = Object.hasOwn(states, state) ? states[state as keyof typeof states] : ({ tone: 'neutral', icon: CircleHelp } as const)
  return <Badge tone={tone} icon={icon}>{state || 'unknown'}</Badge>
}
