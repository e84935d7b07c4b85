import type { Decision } from '@gen/tollgate/admin/v1/decision_pb'
import { Link } from '@tanstack/react-router'
import { Pause, Play } from 'lucide-react'
import { useState } from 'react'
import { AsOf } from '@/components/as-of'
import { CodeLine, Empty } from '@/components/empty'
import { QueryBody } from '@/components/query-body'
import { Section } from '@/components/section'
import { Cell, Head, Row, Table } from '@/components/table'
import { arrivals } from '@/features/decisions/arrivals'
import { LicenseFilter, OutcomeFilter } from '@/features/decisions/filters'
import { OutcomeBadge } from '@/features/decisions/outcome'
import { type DecisionFilter, shownDecisions, useDecisions } from '@/features/decisions/queries'
import { CustomerName } from '@/features/licenses/customer-name'
import { type CustomerNames, useCustomerNames } from '@/features/licenses/customers'
import { formatClock, formatInstant, formatMicros, none, toDate } from '@/lib/format'
import { useServices } from '@/lib/services'

export function Decisions(filter: DecisionFilter) {
  const [held, setHeld] = useState(false)
  const decisions = useDecisions(filter, held)
  const names = useCustomerNames(decisions.data?.decisions.map((d) => d.customer) ?? [])
  const first = decisions.data?.decisions.find((d) => d.license === filter.license)
  const customer = first && names(first.customer)?.externalId
  const actions = (
    <>
      <AsOf at={decisions.dataUpdatedAt} />
      {filter.license !== undefined && <LicenseFilter license={filter.license} customer={customer} />}
      <OutcomeFilter outcome={filter.outcome} />
      <button type="button" className="button" onClick={() => setHeld(!held)}>
        {held ? <Play aria-hidden className="size-3.5" /> : <Pause aria-hidden className="size-3.5" />}
        {held ? 'Resume' : 'Hold'}
        <span className="sr-only"> the list</span>
      </button>
    </>
  )
  const summary = held ? 'Held still.' : decisions.data?.decisions.length ? 'Select one to see why.' : undefined
  const filtered = filter.outcome !== undefined || filter.license !== undefined
  return (
    <Section title="Last decisions" summary={summary} actions={actions}>
      <QueryBody query={decisions} what="the decisions">
        {({ decisions: rows }) =>
          rows.length === 0 ? <NoDecisions filtered={filtered} /> : <DecisionTable decisions={rows} names={names} />
        }
      </QueryBody>
    </Section>
  )
}

function DecisionTable({ decisions, names }: { decisions: readonly Decision[]; names: CustomerNames }) {
  const { clock } = useServices()
  const arrived = arrivals(decisions, clock.now())
  const head = (
    <>
      <Head name="time">Time</Head>
      <Head name="outcome">Outcome</Head>
      <Head name="code">Code</Head>
      <Head name="customer">Customer</Head>
      <Head name="request">Request</Head>
      <Head name="route">Route</Head>
      <Head name="status" numeric>Status</Head>
      <Head name="duration" numeric>Duration</Head>
    </>
  )
  return (
    <>
      <Table label="Last decisions" layout="decisions" head={head}>
        {decisions.map((d) => <DecisionRow key={d.id} decision={d} names={names} arrived={arrived.has(d.id)} />)}
      </Table>
      {decisions.length >= shownDecisions && (
        <p className="border-t border-line px-4 py-2 text-xs text-muted">The newest {shownDecisions}.</p>
      )}
    </>
  )
}

function DecisionRow({ decision: d, names, arrived }: { decision: Decision; names: CustomerNames; arrived: boolean }) {
  const time = toDate(d.time)
  return (
    <Row data-decision={d.id} data-code={d.code} className={arrived ? 'clickable arrived' : 'clickable'}>
      <Cell name="time">
        <Link to="." search={(old) => ({ ...old, decision: d.id })} resetScroll={false} className="row-link tabular-nums">
          <span className="sr-only">Why: </span>
          {time ? <time dateTime={time.toISOString()} title={formatInstant(time)}>{formatClock(time)}</time> : none}
        </Link>
      </Cell>
      <Cell name="outcome"><OutcomeBadge outcome={d.outcome} /></Cell>
      <Cell name="code"><code className="font-mono text-[0.8125rem]">{d.code}</code></Cell>
      <Cell name="customer"><CustomerName id={d.customer} names={names} /></Cell>
      <Cell name="request">
        <span className="block truncate font-mono text-[0.8125rem]" title={`${d.method} ${d.path}`}>
          <span className="text-muted">{d.method}</span> {d.path}
        </span>
      </Cell>
      <Cell name="route">{d.route || <span className="text-muted">{none}</span>}</Cell>
      <Cell name="status" numeric>{d.status || <span className="text-muted">{none}</span>}</Cell>
      <Cell name="duration" numeric><Duration decision={d} /></Cell>
    </Row>
  )
}

function Duration({ decision: d }: { decision: Decision }) {
  if (d.outcome === 'forward' && !d.settled) return <span className="text-muted">open</span>
  // A request that was not forwarded took what deciding took.
  return <>{formatMicros(d.durationUs > 0n ? d.durationUs : d.overheadUs)}</>
}

function NoDecisions({ filtered }: { filtered: boolean }) {
  if (filtered) {
    return (
      <Empty title="No decision matches">
        <Link to="/" className="link">Show all decisions</Link>
      </Empty>
    )
  }
  return (
    <Empty title="No request has been decided yet">
      <p>Send one through the proxy: it appears here a second or two later.</p>
      <CodeLine>curl -H "Authorization: Bearer tg_…" http://PROXY/hello</CodeLine>
    </Empty>
  )
}
