import { describe, expect, it } from 'vitest'
import { type Beat, readPulse } from '@/features/connection/pulse'

const now = 1_000_000
const view = { now, visible: true, visibleSince: 0 }
const answered = (ago: number): Beat => ({ answeredAt: now - ago, failure: null })
const failing = (ago: number | null): Beat => ({ answeredAt: ago === null ? 0 : now - ago, failure: new Error('refused') })

describe('the pulse', () => {
  it('is connecting before the first answer', () => {
    expect(readPulse([], view).state).toBe('connecting')
    expect(readPulse([{ answeredAt: 0, failure: null }], view).state).toBe('connecting')
  })

  it('is live while answers come', () => {
    expect(readPulse([answered(900), answered(4_900)], view).state).toBe('live')
  })

  it('is old where calls neither fail nor end', () => {
    expect(readPulse([answered(5_001), answered(60_000)], view)).toEqual({ state: 'old', answeredAt: now - 5_001 })
  })

  it('calls one failed call no outage', () => {
    expect(readPulse([answered(500), failing(2_900)], view).state).toBe('retrying')
  })

  it('is unreachable once calls go on failing, and tells of the oldest answer shown', () => {
    expect(readPulse([failing(3_500), failing(9_000), answered(100)], view)).toMatchObject({ state: 'unreachable', answeredAt: now - 9_000 })
  })

  it('is unreachable at once where there is nothing to show', () => {
    expect(readPulse([failing(null), answered(100)], view)).toMatchObject({ state: 'unreachable', answeredAt: null })
  })

  it('claims nothing of a hidden tab, and gives one that returns time to ask', () => {
    expect(readPulse([answered(60_000)], { ...view, visible: false }).state).toBe('hidden')
    expect(readPulse([answered(60_000)], { ...view, visibleSince: now - 1_000 }).state).toBe('live')
    expect(readPulse([answered(60_000)], { ...view, visibleSince: now - 5_001 }).state).toBe('old')
  })
})
