import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { DecisionSchema, TraceStepSchema } from '@gen/tollgate/admin/v1/decision_pb'
import { expect, it } from 'vitest'
import { arrivals } from '@/features/decisions/arrivals'
import { toFilterText } from '@/features/decisions/queries'
import { markOf } from '@/features/decisions/trace'
import { readOverviewSearch } from '@/routes/search'

it('filters in the language of the API', () => {
  expect(toFilterText({ outcome: undefined, license: undefined })).toBe('')
  expect(toFilterText({ outcome: 'block', license: 'lic_1' })).toBe('outcome = "block" AND license = "lic_1"')
})

it('takes from an address only what can be an outcome or an id', () => {
  expect(readOverviewSearch({ outcome: 'block', license: 'lic_01K', decision: 'dec_01K', other: 1 })).toEqual({
    outcome: 'block', license: 'lic_01K', decision: 'dec_01K',
  })
  expect(readOverviewSearch({ outcome: 'denied', license: 'x" OR 1', decision: 7 })).toEqual({})
})

it('points out a few new decisions, and none of a flood', () => {
  const now = 1_000_000
  const decided = (id: number, ago: number) => create(DecisionSchema, { id: `dec_${id}`, time: timestampFromMs(now - ago) })
  expect(arrivals([decided(1, 100), decided(2, 3_999), decided(3, 4_001)], now)).toEqual(new Set(['dec_1', 'dec_2']))
  expect(arrivals(Array.from({ length: 9 }, (_, i) => decided(i, 100)), now).size).toBe(0)
})

it('marks the step that decided by how it ended', () => {
  const mark = (result: string, code: string, outcome: string) =>
    markOf(create(TraceStepSchema, { result }), create(DecisionSchema, { code, outcome }))
  expect(mark('passed', 'rate_limited', 'throttle')).toBe('passed')
  expect(mark('rate_limited', 'rate_limited', 'throttle')).toBe('throttle')
  expect(mark('license_expired', 'license_expired', 'block')).toBe('block')
  expect(mark('skipped', 'license_expired', 'block')).toBe('skipped')
  expect(mark('ok_overage', 'ok_overage', 'forward')).toBe('forward')
  expect(mark('upstream_failed', 'upstream_failed', 'forward')).toBe('failed')
})
