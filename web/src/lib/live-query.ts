import { type UseQueryOptions, keepPreviousData, useQuery } from '@tanstack/react-query'
import { isTransient } from '@/lib/errors'

/** How often the page asks. */
export const pollEvery = 1000

declare module '@tanstack/react-query' {
  interface Register {
    queryMeta: { live?: boolean }
  }
}

/** react-query's type leaves room for functions as data, which no answer is. */
type Placeholder<T> = NonNullable<UseQueryOptions<T>['placeholderData']>

type LiveQuery<T> = {
  key: readonly unknown[]
  read: (signal: AbortSignal) => Promise<T>
  /** False where the reader holds the view still, or nothing can change any more. */
  poll?: boolean | ((data: T | undefined) => boolean)
  enabled?: boolean
  /** Whether what another key was answered stands in until this one's answer is here. */
  keepPrevious?: boolean
}

/**
 * Asks each second, only while the tab is in view; keeps what was last answered. A call that may succeed
 * later is asked again until it does (`failureReason` says why it has not); a final refusal ends the asking.
 */
export function useLiveQuery<T>({ key, read, poll = true, enabled = true, keepPrevious = true }: LiveQuery<T>) {
  return useQuery<T>({
    queryKey: key,
    queryFn: ({ signal }) => read(signal),
    enabled,
    meta: { live: true },
    networkMode: 'always',
    ...(keepPrevious && { placeholderData: keepPreviousData as Placeholder<T> }),
    retry: (_count, error) => isTransient(error),
    retryDelay: pollEvery,
    refetchOnWindowFocus: poll !== false,
    refetchInterval: (query) => {
      if (query.state.status === 'error') return false
      return (typeof poll === 'function' ? poll(query.state.data) : poll) && pollEvery
    },
  })
}
