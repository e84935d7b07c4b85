import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ServerClock } from '@/lib/clock'

const local = Date.parse('2026-11-24T10:00:00.400Z')

beforeEach(() => void vi.useFakeTimers({ now: local }))
afterEach(() => void vi.useRealTimers())

describe('the server clock', () => {
  it('is the own clock where the two agree within a second', () => {
    const clock = new ServerClock()
    clock.observe('Tue, 24 Nov 2026 10:00:00 GMT', local - 20, local)
    expect(clock.now()).toBe(local)
  })

  it('follows a server that is ahead', () => {
    const clock = new ServerClock()
    clock.observe('Tue, 24 Nov 2026 10:05:00 GMT', local - 20, local)
    expect(clock.now() - local).toBeGreaterThan(299_000)
    expect(clock.now() - local).toBeLessThan(301_000)
  })

  it('follows a server that is behind, and narrows with each answer', () => {
    const clock = new ServerClock()
    clock.observe('Tue, 24 Nov 2026 09:59:00 GMT', local - 20, local)
    // The server's second turned: it must be 09:59:01.0 or later now.
    clock.observe('Tue, 24 Nov 2026 09:59:01 GMT', local + 100, local + 120)
    expect(clock.now() + 120).toBeGreaterThanOrEqual(Date.parse('2026-11-24T09:59:01Z'))
    expect(clock.now()).toBeLessThan(Date.parse('2026-11-24T09:59:01.1Z'))
  })

  it('ignores answers without a date', () => {
    const clock = new ServerClock()
    clock.observe(null, local, local)
    clock.observe('yesterday', local, local)
    expect(clock.now()).toBe(local)
  })
})
