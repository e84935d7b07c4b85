import type { Decision } from '@gen/tollgate/admin/v1/decision_pb'
import { toDate } from '@/lib/format'

const newFor = 4000
const atMost = 8

/** The decisions to point out as new; none where so many arrive that pointing at them all would only flicker. */
export function arrivals(decisions: readonly Decision[], now: number): ReadonlySet<string> {
  const young = decisions.filter((d) => now - (toDate(d.time)?.getTime() ?? 0) < newFor)
  return new Set(young.length <= atMost ? young.map((d) => d.id) : [])
}
