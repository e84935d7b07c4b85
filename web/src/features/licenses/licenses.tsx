import type { License } from '@gen/tollgate/admin/v1/license_pb'
import { Link } from '@tanstack/react-router'
import { ChevronLeft, ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { AsOf } from '@/components/as-of'
import { CodeLine, Empty } from '@/components/empty'
import { QueryBody } from '@/components/query-body'
import { Section } from '@/components/section'
import { Cell, Head, Row, Table } from '@/components/table'
import { CustomerName } from '@/features/licenses/customer-name'
import { type CustomerNames, useCustomerNames } from '@/features/licenses/customers'
import { useLicenses } from '@/features/licenses/queries'
import { Status } from '@/features/licenses/status'
import { formatDay, formatInstant, toDate } from '@/lib/format'

/** `selected`: the licence that the decisions are narrowed to. */
export function Licenses({ selected }: { selected: string | undefined }) {
  // Tokens of the pages before this one: keyset pages know only their next.
  const [tokens, setTokens] = useState<readonly string[]>([''])
  const licenses = useLicenses(tokens.at(-1) ?? '')
  const names = useCustomerNames(licenses.data?.licenses.map((l) => l.customer) ?? [])
  const next = licenses.data?.nextPageToken ?? ''
  const pager = (tokens.length > 1 || next !== '') && (
    <div className="flex items-center gap-1">
      <button type="button" className="button" disabled={tokens.length === 1} onClick={() => setTokens(tokens.slice(0, -1))}>
        <ChevronLeft aria-hidden className="size-3.5" /><span className="sr-only">Previous page of licences</span>
      </button>
      <button type="button" className="button" disabled={next === '' || licenses.isPlaceholderData} onClick={() => setTokens([...tokens, next])}>
        <ChevronRight aria-hidden className="size-3.5" /><span className="sr-only">Next page of licences</span>
      </button>
    </div>
  )
  return (
    <Section title="Licences" actions={<><AsOf at={licenses.dataUpdatedAt} />{pager}</>}>
      <QueryBody query={licenses} what="the licences">
        {({ licenses: rows }) => (rows.length === 0 ? <NoLicenses /> : <LicenseTable licenses={rows} names={names} selected={selected} />)}
      </QueryBody>
    </Section>
  )
}

type TableProps = { licenses: readonly License[]; names: CustomerNames; selected: string | undefined }

function LicenseTable({ licenses, names, selected }: TableProps) {
  const head = (
    <>
      <Head name="customer">Customer</Head>
      <Head name="plan">Plan</Head>
      <Head name="status">Status</Head>
      <Head name="starts" numeric>Starts</Head>
      <Head name="ends" numeric>Ends</Head>
    </>
  )
  return (
    <Table label="Licences" layout="licenses" head={head}>
      {licenses.map((license) => (
        <Row key={license.id} data-license={license.id} data-selected={license.id === selected} className="clickable">
          <Cell name="customer">
            <Link to="." search={(old) => ({ ...old, license: license.id === selected ? undefined : license.id })} resetScroll={false} aria-current={license.id === selected} className="row-link font-medium">
              <CustomerName id={license.customer} names={names} />
              <span className="sr-only">{license.id === selected ? ': show decisions of all licences' : ': show only its decisions'}</span>
            </Link>
          </Cell>
          <Cell name="plan"><PlanVersion plan={license.plan} version={license.planVersion} /></Cell>
          <Cell name="status"><Status status={license.status} /></Cell>
          <Cell name="starts" label="Starts" numeric><Day at={toDate(license.startsAt)} /></Cell>
          <Cell name="ends" label="Ends" numeric><Day at={toDate(license.endsAt)} none="open-ended" /></Cell>
        </Row>
      ))}
    </Table>
  )
}

function PlanVersion({ plan, version }: { plan: string; version: number }) {
  return <span className="font-mono text-[0.8125rem]">{plan}<span className="text-muted">@{version}</span></span>
}

function Day({ at, none = '' }: { at: Date | undefined; none?: string }) {
  if (!at) return <span className="text-muted">{none}</span>
  return <time dateTime={at.toISOString()} title={formatInstant(at)}>{formatDay(at)}</time>
}

function NoLicenses() {
  return (
    <Empty title="No licence has been issued yet">
      <p>A licence puts a customer on a plan. Plans come from a catalog file; customers and licences from the admin API.</p>
      <CodeLine>tollgate apply -f catalog.yaml</CodeLine>
    </Empty>
  )
}
