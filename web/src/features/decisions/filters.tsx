import { Link, useNavigate } from '@tanstack/react-router'
import { X } from 'lucide-react'
import { type Outcome, outcomes } from '@/features/decisions/outcome'

export function OutcomeFilter({ outcome }: { outcome: Outcome | undefined }) {
  const navigate = useNavigate({ from: '/' })
  const choose = (next: Outcome | undefined) =>
    void navigate({ search: (old) => ({ ...old, outcome: next }), replace: true, resetScroll: false })
  return (
    <fieldset className="segments">
      <legend className="sr-only">Outcome</legend>
      {([undefined, ...outcomes] as const).map((choice) => (
        <label key={choice ?? 'all'}>
          <input type="radio" name="outcome" className="sr-only" checked={choice === outcome} onChange={() => choose(choice)} />
          <span>{choice ?? 'all'}</span>
        </label>
      ))}
    </fieldset>
  )
}

/** The licence that decisions are narrowed to, and the way out of it. */
export function LicenseFilter({ license, customer }: { license: string; customer: string | undefined }) {
  return (
    <Link to="." search={(old) => ({ ...old, license: undefined })} resetScroll={false} className="button max-w-full">
      <span className="truncate" title={license}>{customer ?? license}</span>
      <X aria-hidden className="size-3.5 shrink-0" />
      <span className="sr-only">Show decisions of all licences</span>
    </Link>
  )
}
