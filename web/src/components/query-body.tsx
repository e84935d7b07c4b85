import type { UseQueryResult } from '@tanstack/react-query'
import { CircleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { words } from '@/lib/errors'

type Props<T> = {
  query: UseQueryResult<T>
  /** What is being read, as in "the licences". */
  what: string
  children: (data: T) => ReactNode
}

/** A query's data; before there is any, that it loads or why it does not. Beside old data, why there is no newer. */
export function QueryBody<T>({ query, what, children }: Props<T>) {
  const { data, error, failureReason } = query
  return (
    <>
      {error !== null && <Refusal what={what} error={error} retry={() => void query.refetch()} />}
      {data !== undefined && (
        <div className={query.isPlaceholderData ? 'opacity-50' : undefined} aria-busy={query.isPlaceholderData}>{children(data)}</div>
      )}
      {data === undefined && error === null && (
        <p className="px-4 py-10 text-center text-sm text-muted">
          {failureReason === null ? `Reading ${what} …` : `Can't read ${what} yet. ${words(failureReason)}`}
        </p>
      )}
    </>
  )
}

function Refusal({ what, error, retry }: { what: string; error: unknown; retry: () => void }) {
  return (
    <div role="alert" className="flex flex-wrap items-center gap-x-3 gap-y-2 bg-bad-soft px-4 py-2.5 text-sm text-bad">
      <CircleAlert aria-hidden className="size-4 shrink-0" />
      <p className="min-w-0 grow basis-60">
        <strong className="font-semibold">Can't read {what}.</strong> {words(error)}
      </p>
      <button type="button" className="button" onClick={retry}>Try again</button>
    </div>
  )
}
