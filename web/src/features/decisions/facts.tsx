import type { Decision } from '@gen/tollgate/admin/v1/decision_pb'
import type { ReactNode } from 'react'
import type { CustomerNames } from '@/features/licenses/customers'
import { formatBytes, formatCount, formatEpoch, formatMicros } from '@/lib/format'

/** All that is on record of a decision. What is not, is left out. */
export function Facts({ decision: d, names }: { decision: Decision; names: CustomerNames }) {
  const ended = d.outcome !== 'forward' || d.settled
  return (
    <div>
      <h3 className="mb-2 text-sm font-semibold">Record</h3>
      <dl className="facts">
        <Fact name="Decision" mono>{d.id}</Fact>
        <Fact name="Customer">{d.customer && (names(d.customer)?.externalId ?? '')}</Fact>
        <Fact name="Customer id" mono>{d.customer}</Fact>
        <Fact name="Licence" mono>{d.license}</Fact>
        <Fact name="Plan" mono>{d.plan && `${d.plan}@${d.planVersion}`}</Fact>
        <Fact name="Credential" mono>{d.credential}</Fact>
        <Fact name="Route" mono>{d.route}</Fact>
        <Fact name="Policy" mono>{d.policy}</Fact>
        <Fact name="Cost">{formatCount(d.cost)}</Fact>
        <Fact name="Status">{d.status !== 0 && String(d.status)}</Fact>
        <Fact name="Upstream status">{d.upstreamStatus !== 0 && String(d.upstreamStatus)}</Fact>
        <Fact name="Settled">{d.outcome === 'forward' && (d.settled ? 'yes' : 'not yet: the request is open')}</Fact>
        <Fact name="Duration">{ended && d.durationUs > 0n && formatMicros(d.durationUs)}</Fact>
        <Fact name="Overhead">{d.overheadUs > 0n && formatMicros(d.overheadUs)}</Fact>
        <Fact name="Bytes in">{ended && d.outcome === 'forward' && formatBytes(d.bytesIn)}</Fact>
        <Fact name="Bytes out">{ended && d.outcome === 'forward' && formatBytes(d.bytesOut)}</Fact>
        <Fact name="Client IP" mono>{d.clientIp}</Fact>
        <Fact name="Node" mono>{d.node}</Fact>
        <Fact name="Boot" mono>{d.boot}</Fact>
        <Fact name="Sequence">{formatCount(d.seq)}</Fact>
        <Fact name="Epoch">{d.epoch && formatEpoch(d.epoch)}</Fact>
        <Fact name="Trace id" mono>{d.traceId}</Fact>
      </dl>
    </div>
  )
}

function Fact({ name, mono, children }: { name: string; mono?: boolean; children: ReactNode }) {
  if (children === '' || children === false || children === undefined) return null
  return (
    <div>
      <dt>{name}</dt>
      <dd className={mono ? 'font-mono text-[0.8125rem]' : 'tabular-nums'}>{children}</dd>
    </div>
  )
}
