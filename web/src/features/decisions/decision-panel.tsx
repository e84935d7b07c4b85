import type { GetDecisionResponse } from '@gen/tollgate/admin/v1/decision_service_pb'
import { useNavigate } from '@tanstack/react-router'
import { X } from 'lucide-react'
import { type MouseEvent, useId, useLayoutEffect, useRef } from 'react'
import { QueryBody } from '@/components/query-body'
import { Facts } from '@/features/decisions/facts'
import { OutcomeBadge } from '@/features/decisions/outcome'
import { useDecision } from '@/features/decisions/queries'
import { Trace } from '@/features/decisions/trace'
import { useCustomerNames } from '@/features/licenses/customers'
import { formatInstant, toDate } from '@/lib/format'

/** Why one request was decided as it was. Its place in the address can be shared. */
export function DecisionPanel({ id }: { id: string }) {
  const navigate = useNavigate({ from: '/' })
  const decision = useDecision(id)
  const dialog = useRef<HTMLDialogElement>(null)
  const title = useId()
  // Closed before it leaves the document: only then does the browser put the focus back.
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => shown?.close()
  }, [])

  const close = () => dialog.current?.close()
  const onBackdrop = (event: MouseEvent) => {
    if (event.target === dialog.current) close()
  }
  const onClose = () => {
    // The event comes late: the panel may be gone by then, or shown anew.
    if (dialog.current?.open !== false) return
    void navigate({ search: (old) => ({ ...old, decision: undefined }), resetScroll: false })
  }
  return (
    <dialog ref={dialog} aria-labelledby={title} onClick={onBackdrop} onClose={onClose} className="panel">
      <div className="flex min-h-full flex-col">
        <div className="sticky top-0 flex items-center gap-3 border-b border-line bg-surface px-5 py-3">
          <h2 id={title} className="text-[0.9375rem] font-semibold tracking-tight">Why this decision</h2>
          <button type="button" className="button ml-auto" onClick={close}>
            <X aria-hidden className="size-3.5" /><span className="sr-only">Close</span>
          </button>
        </div>
        <QueryBody query={decision} what="this decision">{(answer) => <Explained answer={answer} />}</QueryBody>
      </div>
    </dialog>
  )
}

function Explained({ answer: { decision: d, trace } }: { answer: GetDecisionResponse }) {
  const names = useCustomerNames(d ? [d.customer] : [])
  if (!d) return null
  const time = toDate(d.time)
  return (
    <div className="grid gap-6 px-5 py-4">
      <div className="grid gap-2">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <OutcomeBadge outcome={d.outcome} />
          <code className="font-mono text-sm font-medium">{d.code}</code>
          {d.shadow && <span className="text-sm text-muted">in shadow</span>}
        </div>
        <p className="font-mono text-sm [overflow-wrap:anywhere]"><span className="text-muted">{d.method}</span> {d.path}</p>
        {time && <p className="text-sm text-muted tabular-nums"><time dateTime={time.toISOString()}>{formatInstant(time)}</time></p>}
        <p><a className="link text-sm" href={`/errors/${encodeURIComponent(d.code)}`} target="_blank" rel="noreferrer">What this code means<span className="sr-only"> (opens in a new tab)</span></a></p>
      </div>
      <Trace steps={trace} decision={d} />
      <Facts decision={d} names={names} />
    </div>
  )
}
