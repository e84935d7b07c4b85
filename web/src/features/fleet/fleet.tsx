import type { Epoch } from '@gen/tollgate/admin/v1/epoch_pb'
import type { Node } from '@gen/tollgate/admin/v1/node_pb'
import type { WaitForEpochResponse } from '@gen/tollgate/admin/v1/fleet_service_pb'
import { Ago } from '@/components/ago'
import { AsOf } from '@/components/as-of'
import { CodeLine, Empty } from '@/components/empty'
import { QueryBody } from '@/components/query-body'
import { Section } from '@/components/section'
import { Cell, Head, Row, Table } from '@/components/table'
import { NodeState } from '@/features/fleet/node-state'
import { newestEpoch, useEnforced, useNodes } from '@/features/fleet/queries'
import { compareEpochs, formatBytes, formatEpoch, formatLag, formatRate, none, toDate } from '@/lib/format'

export function Fleet() {
  const nodes = useNodes()
  const enforced = useEnforced()
  return (
    <Section title="Fleet" summary={enforced.data && <Enforced counted={enforced.data} />} actions={<AsOf at={nodes.dataUpdatedAt} />}>
      <QueryBody query={nodes} what="the nodes">
        {(listed) => (listed.nodes.length === 0 ? <NoNodes /> : <Nodes nodes={listed.nodes} truncated={listed.nextPageToken !== ''} />)}
      </QueryBody>
    </Section>
  )
}

function Enforced({ counted: { enforced, total } }: { counted: WaitForEpochResponse }) {
  if (total === 0) return null
  return (
    <span data-enforced={`${enforced}/${total}`}>
      <span className={`font-medium tabular-nums ${enforced === total ? 'text-ink' : 'text-warn'}`}>{enforced} of {total}</span>{' '}
      {total === 1 ? 'node enforces' : 'nodes enforce'} the newest epoch
    </span>
  )
}

function Nodes({ nodes, truncated }: { nodes: readonly Node[]; truncated: boolean }) {
  const newest = newestEpoch(nodes)
  const head = (
    <>
      <Head name="name">Node</Head>
      <Head name="state">State</Head>
      <Head name="epoch" numeric>Epoch</Head>
      <Head name="lag" numeric>Lag</Head>
      <Head name="spool" numeric>Spool</Head>
      <Head name="rps" numeric>Req/s</Head>
      <Head name="seen" numeric>Last seen</Head>
    </>
  )
  return (
    <>
      <Table label="Nodes" layout="fleet" head={head}>
        {nodes.map((node) => <NodeRow key={node.name} node={node} newest={newest} />)}
      </Table>
      {truncated && <p className="border-t border-line px-4 py-2 text-xs text-muted">The first {nodes.length} nodes by name.</p>}
    </>
  )
}

function NodeRow({ node, newest }: { node: Node; newest: Epoch | undefined }) {
  const behind = node.epoch && newest && compareEpochs(node.epoch, newest) < 0
  const seen = toDate(node.lastSeen)
  return (
    <Row data-node={node.name}>
      <Cell name="name"><span className="font-medium" title={node.version && `Version ${node.version}`}>{node.name}</span></Cell>
      <Cell name="state"><NodeState state={node.state} /></Cell>
      <Cell name="epoch" label="Epoch" numeric>
        <span className={behind ? 'text-warn' : undefined}>{formatEpoch(node.epoch)}</span>
        {behind && <span className="sr-only"> (behind)</span>}
      </Cell>
      <Cell name="lag" label="Lag" numeric>{formatLag(node.lagMs)}</Cell>
      <Cell name="spool" label="Spool" numeric>{formatBytes(node.spoolBytes)}</Cell>
      <Cell name="rps" label="Req/s" numeric>{formatRate(node.proxyRps)}</Cell>
      <Cell name="seen" label="Last seen" numeric>{seen ? <Ago at={seen} /> : none}</Cell>
    </Row>
  )
}

function NoNodes() {
  return (
    <Empty title="No node has reported yet">
      <p>A node appears here within a second of its start. One that runs on its own starts with:</p>
      <CodeLine>tollgate-proxy --config node.yaml</CodeLine>
    </Empty>
  )
}
