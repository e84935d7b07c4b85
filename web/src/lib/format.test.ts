import { create } from '@bufbuild/protobuf'
import { EpochSchema } from '@gen/tollgate/admin/v1/epoch_pb'
import { describe, expect, it } from 'vitest'
import { compareEpochs, formatAgo, formatBytes, formatCount, formatEpoch, formatLag, formatMicros, formatRate, formatSpan } from '@/lib/format'

const epoch = (generation: bigint, number: bigint) => create(EpochSchema, { generation, number })

describe('epochs', () => {
  it('are written as generation and number, to the last digit', () => {
    expect(formatEpoch(epoch(2n, 18_446_744_073_709_551_615n))).toBe('2.18446744073709551615')
    expect(formatEpoch(undefined)).toBe('–')
  })

  it('are ordered by generation first', () => {
    expect(compareEpochs(epoch(2n, 1n), epoch(1n, 900n))).toBe(1)
    expect(compareEpochs(epoch(1n, 9n), epoch(1n, 10n))).toBe(-1)
    expect(compareEpochs(epoch(1n, 9n), epoch(1n, 9n))).toBe(0)
  })
})

describe('quantities', () => {
  it.each([
    [0n, '0 B'], [999n, '999 B'], [1_000n, '1.0 kB'], [18_240n, '18.2 kB'], [999_950n, '1.0 MB'], [123_456_789n, '123 MB'],
    [4_300_000_000_000_000n, '4,300 TB'],
  ])('%s bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it.each([[0n, '0 µs'], [84n, '84 µs'], [1_240n, '1.2 ms'], [48_210n, '48.2 ms'], [999_900n, '1.0 s'], [61_000_000n, '61.0 s']])(
    '%s microseconds are %s',
    (us, text) => {
      expect(formatMicros(us)).toBe(text)
    },
  )

  it('keeps a decimal of small rates only', () => {
    expect([0, 0.04, 7.44, 9.96, 128.4, 21_500].map(formatRate)).toEqual(['0', '0.0', '7.4', '10', '128', '21,500'])
  })

  it('counts beyond what a double holds', () => {
    expect(formatCount(9_007_199_254_740_993n)).toBe('9,007,199,254,740,993')
  })

  it('says that a node heard no heartbeat yet', () => {
    expect([-1n, 0n, 999n, 15_300n, 7_200_000n].map(formatLag)).toEqual(['none yet', '0 ms', '999 ms', '15 s', '2 h'])
  })

  it('never rounds an age up', () => {
    expect([0, 59_999, 60_000, 3_599_999, 86_399_999, 86_400_000, 200_000_000].map(formatSpan)).toEqual([
      '0 s', '59 s', '1 min', '59 min', '23 h', '1 day', '2 days',
    ])
    expect([-400, 1_999, 2_000].map(formatAgo)).toEqual(['now', 'now', '2 s ago'])
  })
})
