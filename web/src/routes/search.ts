import { type Outcome, isOutcome } from '@/features/decisions/outcome'

/** What the overview's address says: a view that can be sent to someone else. */
export type OverviewSearch = {
  outcome?: Outcome | undefined
  license?: string | undefined
  /** The decision whose panel is open. */
  decision?: string | undefined
}

export function readOverviewSearch(raw: Record<string, unknown>): OverviewSearch {
  const { outcome, license, decision } = raw
  return {
    ...(isOutcome(outcome) && { outcome }),
    ...(isName(license) && { license }),
    ...(isName(decision) && { decision }),
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_]{1,64}$/.test(value)
}
