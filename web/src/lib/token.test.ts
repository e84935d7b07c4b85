import { beforeEach, describe, expect, it } from 'vitest'
import { isSendable, takeTokenFromAddress } from '@/lib/token'

beforeEach(() => window.history.replaceState(null, '', '/'))

describe('a token in the address', () => {
  it('is taken out at once, and the rest of the address stays', () => {
    window.history.replaceState(null, '', '/?outcome=block#token=tga_live_1')
    const before = window.history.length
    expect(takeTokenFromAddress()).toBe('tga_live_1')
    expect(window.location.href).not.toContain('tga_')
    expect(window.location.search).toBe('?outcome=block')
    expect(window.history.length).toBe(before)
  })

  it('is taken out even where it is empty', () => {
    window.history.replaceState(null, '', '/#token=')
    expect(takeTokenFromAddress()).toBeNull()
    expect(window.location.hash).toBe('')
  })

  it('leaves other fragments alone', () => {
    window.history.replaceState(null, '', '/#content')
    expect(takeTokenFromAddress()).toBeNull()
    expect(window.location.hash).toBe('#content')
  })
})

it('knows what a header cannot carry', () => {
  expect(isSendable('tga_4Zx-._~')).toBe(true)
  for (const token of ['', 'tga_a b', 'tga_…', 'tga_\n']) expect(isSendable(token)).toBe(false)
})
