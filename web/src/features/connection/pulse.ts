/** How the page stands to the control plane. */
export type Pulse =
  | { state: 'connecting' }
  | { state: 'live' }
  | { state: 'hidden' }
  /** Calls fail, and are made again each second. `answeredAt`: of what is still shown; null: nothing is. */
  | { state: 'retrying' | 'unreachable'; error: unknown; answeredAt: number | null }
  /** No call fails, but none ends either. */
  | { state: 'old'; answeredAt: number }

/** What the page knows of one query that it polls. Times are the browser's, in ms; 0: never. */
export type Beat = { answeredAt: number; failure: unknown }

/** Older than this, an answer is not "now" any more. */
export const oldAfter = 5000
/** A single failed call is no outage: it is shown small for this long. */
export const unreachableAfter = 3000

type View = { now: number; visible: boolean; visibleSince: number }

export function readPulse(beats: readonly Beat[], { now, visible, visibleSince }: View): Pulse {
  if (!visible) return { state: 'hidden' }
  const failing = beats.filter((b) => b.failure !== null)
  const worst = failing.reduce<Beat | undefined>((a, b) => (a && a.answeredAt <= b.answeredAt ? a : b), undefined)
  if (worst) {
    const { answeredAt, failure } = worst
    const age = now - Math.max(answeredAt, visibleSince)
    const state = answeredAt > 0 && age <= unreachableAfter ? 'retrying' : 'unreachable'
    return { state, error: failure, answeredAt: answeredAt > 0 ? answeredAt : null }
  }
  const newest = Math.max(0, ...beats.map((b) => b.answeredAt))
  if (newest === 0) return { state: 'connecting' }
  // A tab that comes back into view asks at once: what it did not ask for while hidden is not held against it.
  if (now - Math.max(newest, visibleSince) > oldAfter) return { state: 'old', answeredAt: newest }
  return { state: 'live' }
}
