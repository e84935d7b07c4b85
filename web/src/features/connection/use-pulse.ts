import { type QueryCache, notifyManager, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { type Beat, type Pulse, readPulse } from '@/features/connection/pulse'
import { useNow } from '@/lib/use-now'

export function usePulse(): Pulse {
  const beats = useBeats()
  const { visible, visibleSince } = useVisibility()
  // The clock that re-renders may tick after an answer: age is never negative.
  const now = Math.max(useNow(), ...beats.map((b) => b.answeredAt))
  return readPulse(beats, { now, visible, visibleSince })
}

function readBeats(cache: QueryCache): Beat[] {
  return cache
    .findAll({ type: 'active', predicate: (query) => query.meta?.live === true })
    .filter((query) => query.state.status !== 'error')
    .map(({ state }) => ({ answeredAt: state.dataUpdatedAt, failure: state.fetchFailureReason }))
}

function useBeats(): readonly Beat[] {
  const cache = useQueryClient().getQueryCache()
  const last = useRef<Beat[]>([])
  const subscribe = useCallback((changed: () => void) => cache.subscribe(notifyManager.batchCalls(changed)), [cache])
  return useSyncExternalStore(subscribe, () => {
    const next = readBeats(cache)
    if (!same(last.current, next)) last.current = next
    return last.current
  })
}

function same(a: readonly Beat[], b: readonly Beat[]): boolean {
  return a.length === b.length && a.every((x, i) => x.answeredAt === b[i]?.answeredAt && x.failure === b[i].failure)
}

function useVisibility() {
  const read = () => ({ visible: document.visibilityState === 'visible', visibleSince: Date.now() })
  const [state, setState] = useState(read)
  useEffect(() => {
    const changed = () => setState(read())
    document.addEventListener('visibilitychange', changed)
    return () => document.removeEventListener('visibilitychange', changed)
  }, [])
  return state
}
