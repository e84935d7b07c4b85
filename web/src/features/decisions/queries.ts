import type { Outcome } from '@/features/decisions/outcome'
import { useLiveQuery } from '@/lib/live-query'
import { useServices } from '@/lib/services'

export const shownDecisions = 50

export type DecisionFilter = { outcome: Outcome | undefined; license: string | undefined }

export function useDecisions(filter: DecisionFilter, held: boolean) {
  const { api } = useServices()
  const text = toFilterText(filter)
  return useLiveQuery({
    key: ['decisions', text],
    read: (signal) => api.decisions.searchDecisions({ filter: text, pageSize: shownDecisions }, { signal }),
    poll: !held,
  })
}

export function useDecision(id: string) {
  const { api } = useServices()
  return useLiveQuery({
    key: ['decision', id],
    read: (signal) => api.decisions.getDecision({ id }, { signal }),
    // A record does not change once its request has ended.
    poll: (data) => data?.decision?.outcome === 'forward' && !data.decision.settled,
    keepPrevious: false,
  })
}

/** Terms in the API's filter language. */
export function toFilterText({ outcome, license }: DecisionFilter): string {
  const terms = []
  if (outcome !== undefined) terms.push(`outcome = "${outcome}"`)
  if (license !== undefined) terms.push(`license = "${license}"`)
  return terms.join(' AND ')
}
