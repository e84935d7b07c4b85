import { DecisionPanel } from '@/features/decisions/decision-panel'
import { Decisions } from '@/features/decisions/decisions'
import { Fleet } from '@/features/fleet/fleet'
import { Licenses } from '@/features/licenses/licenses'
import type { OverviewSearch } from '@/routes/search'

export function Overview({ search }: { search: OverviewSearch }) {
  return (
    <>
      <h1 className="sr-only">Overview</h1>
      <div className="grid gap-5 min-[1180px]:grid-cols-2">
        <Fleet />
        <Licenses selected={search.license} />
        <div className="min-w-0 min-[1180px]:col-span-2">
          <Decisions outcome={search.outcome} license={search.license} />
        </div>
      </div>
      {search.decision !== undefined && <DecisionPanel key={search.decision} id={search.decision} />}
    </>
  )
}
