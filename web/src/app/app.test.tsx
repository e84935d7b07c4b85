import { Code, ConnectError, createRouterTransport } from '@connectrpc/connect'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { LicenseStatus } from '@gen/tollgate/admin/v1/license_pb'
import { act, cleanup, render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SampleApi, sampleToken } from '../../dev/sample-api'
import { App } from '@/app/app'
import { callInterceptors } from '@/lib/api'
import { Session } from '@/lib/session'
import { readToken } from '@/lib/token'

beforeEach(() => {
  sessionStorage.clear()
  localStorage.clear()
  window.history.replaceState(null, '', '/')
})
afterEach(cleanup)

/** The whole app over an API of its own; only the wire between them is short. */
function setup({ token = sampleToken as string | null, api = new SampleApi().fill() } = {}) {
  const session = new Session()
  if (token !== null) session.begin(token)
  render(
    <App
      session={session}
      transport={(t, clock) => createRouterTransport(api.routes, { transport: { interceptors: callInterceptors(t, clock) } })}
    />,
  )
  return { api, session, user: userEvent.setup() }
}

// Generous: a busy machine is no failure.
const soon = { timeout: 20_000 }
const row = async (table: string, text: string | RegExp) => {
  const rows = await within(await screen.findByRole('table', { name: table }, soon)).findAllByRole('row')
  const found = rows.find((r) => (typeof text === 'string' ? r.textContent.includes(text) : text.test(r.textContent)))
  if (!found) throw new Error(`no row with ${text} in ${table}`)
  return within(found)
}

describe('signing in', () => {
  it('keeps an accepted token in this tab only, and shows the page', async () => {
    const { user } = setup({ token: null })
    await user.type(screen.getByLabelText('API token'), ` ${sampleToken} `)
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect(await screen.findByRole('heading', { name: 'Fleet' }, soon)).toBeTruthy()
    expect(readToken()).toBe(sampleToken)
    expect(localStorage.length).toBe(0)
    expect(document.cookie).toBe('')
  })

  it('says in the server’s words why a token is refused, and keeps nothing', async () => {
    const { user } = setup({ token: null })
    await user.type(screen.getByLabelText('API token'), 'tga_other')
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect((await screen.findByRole('alert')).textContent).toBe('The API token is unknown or was revoked.')
    expect(document.activeElement).toBe(screen.getByLabelText('API token'))
    expect(readToken()).toBeNull()
  })

  it('refuses what no header can carry without asking', async () => {
    const { user } = setup({ token: null })
    await user.type(screen.getByLabelText('API token'), 'tga_…')
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect((await screen.findByRole('alert')).textContent).toContain('other characters')
  })

  it('does not take an outage for a bad token', async () => {
    const { api, user } = setup({ token: null })
    api.outage = new ConnectError('the database is not reachable', Code.Unavailable)
    await user.type(screen.getByLabelText('API token'), sampleToken)
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect((await screen.findByRole('alert')).textContent).toBe('The database is not reachable.')
  })

  it('returns to the form with the server’s words when the token ends', async () => {
    const { api } = setup()
    await screen.findByRole('table', { name: 'Licences' }, soon)
    api.outage = new ConnectError('the API token was revoked', Code.Unauthenticated)
    expect((await screen.findByRole('alert', {}, soon)).textContent).toBe('The API token was revoked.')
    expect(screen.getByLabelText('API token')).toBeTruthy()
    expect(screen.queryByRole('table')).toBeNull()
    expect(readToken()).toBeNull()
  })

  it('forgets the token on signing out', async () => {
    const { user } = setup()
    await user.click(await screen.findByRole('button', { name: 'Sign out' }, soon))
    expect(screen.getByLabelText('API token')).toBeTruthy()
    expect(screen.queryByRole('alert')).toBeNull()
    expect(readToken()).toBeNull()
  })
})

describe('the page', () => {
  it('shows nodes, and how many enforce the newest epoch by the control plane’s count', async () => {
    const api = new SampleApi().fill()
    api.enforced = { enforced: 1, total: 2 }
    setup({ api })
    const node = await row('Nodes', 'node-1')
    expect(node.getByText('fresh')).toBeTruthy()
    expect(node.getByText('18.2 kB')).toBeTruthy()
    await waitFor(() => expect(document.querySelector('[data-enforced]')?.textContent).toBe('1 of 2 nodes enforce the newest epoch'), soon)
    expect(document.querySelector('[data-epoch]')?.textContent).toBe('1.42')
  })

  it('shows a licence’s status as the server says it, whatever its dates', async () => {
    const api = new SampleApi().fill()
    Object.assign(api.licenses[0]!, { status: LicenseStatus.ACTIVE, endsAt: timestampFromMs(Date.now() - 1_000) })
    Object.assign(api.licenses[1]!, { status: LicenseStatus.EXPIRED, endsAt: undefined })
    setup({ api })
    expect((await row('Licences', 'free@1')).getByText('active')).toBeTruthy()
    expect((await row('Licences', /pro@1.*open-ended/)).getByText('expired')).toBeTruthy()
  })

  it('names customers by their external ids', async () => {
    setup()
    expect(await (await row('Licences', 'free@1')).findByText('free-co', {}, soon)).toBeTruthy()
  })

  it('shows a new decision without being asked', async () => {
    const { api } = setup()
    await screen.findByRole('table', { name: 'Last decisions' }, soon)
    api.decide({ outcome: 'throttle', code: 'quota_exhausted', method: 'GET', path: '/new', status: 429 })
    expect(await screen.findByText('quota_exhausted', {}, soon)).toBeTruthy()
  })

  it('holds the list still at the reader’s wish', async () => {
    const { api, user } = setup()
    await screen.findByRole('table', { name: 'Last decisions' }, soon)
    await user.click(screen.getByRole('button', { name: 'Hold the list' }))
    const fleetAsked = document.querySelector('[data-node="node-1"] [data-cell="rps"]')
    api.decide({ outcome: 'block', code: 'overloaded', status: 503 })
    api.nodes.forEach((n) => Object.assign(n, { proxyRps: 777 }))
    await waitFor(() => expect(fleetAsked?.textContent).toBe('777'), soon)
    expect(screen.queryByText('overloaded')).toBeNull()
    await user.click(screen.getByRole('button', { name: 'Resume the list' }))
    expect(await screen.findByText('overloaded', {}, soon)).toBeTruthy()
  })

  it('narrows decisions to an outcome and to a licence, in the address too', async () => {
    const { user } = setup()
    await user.click(await screen.findByRole('radio', { name: 'block' }, soon))
    await waitFor(() => expect(screen.queryByText('rate_limited')).toBeNull(), soon)
    await user.click((await row('Licences', 'free@1')).getByRole('link'))
    await waitFor(() => expect(window.location.search).toBe('?outcome=block&license=lic_free'))
    await waitFor(() => {
      const codes = [...document.querySelectorAll('[data-code]')].map((r) => r.getAttribute('data-code'))
      expect(new Set(codes)).toEqual(new Set(['feature_not_in_plan']))
    }, soon)
  })

  it('explains a decision step by step, and closes again', async () => {
    const { user } = setup()
    await user.click((await row('Last decisions', 'feature_not_in_plan')).getByRole('link'))
    const dialog = within(await screen.findByRole('dialog', { name: 'Why this decision' }, soon))
    await dialog.findByText('plan free@1', {}, soon)
    const marks = [...document.querySelectorAll('[data-step]')].map((s) => `${s.getAttribute('data-step')} ${s.getAttribute('data-mark')}`)
    expect(marks).toEqual([
      'read passed', 'route passed', 'identify passed', 'license passed', 'features block', 'rates skipped', 'quotas skipped', 'forward skipped',
    ])
    await user.click(dialog.getByRole('button', { name: 'Close' }))
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
    expect(window.location.search).toBe('')
  })

  it('follows an open request until it has settled', async () => {
    const api = new SampleApi().fill()
    const open = api.decide({ outcome: 'forward', code: 'ok', method: 'GET', path: '/slow', settled: false })
    window.history.replaceState(null, '', `/?decision=${open.id}`)
    setup({ api })
    await screen.findByText('not yet: the request is open', {}, soon)
    Object.assign(open, { settled: true, status: 200, upstreamStatus: 200, durationUs: 2_500_000n })
    expect(await within(screen.getByRole('dialog')).findByText('2.5 s', {}, soon)).toBeTruthy()
  })

  it('says what to do where there is nothing yet', async () => {
    setup({ api: new SampleApi() })
    expect(await screen.findByText('No node has reported yet', {}, soon)).toBeTruthy()
    expect(await screen.findByText('No licence has been issued yet', {}, soon)).toBeTruthy()
    expect(await screen.findByText('No request has been decided yet', {}, soon)).toBeTruthy()
  })
})

describe('when the control plane fails', () => {
  it('says so at once where there is nothing to show, in its words, and recovers by itself', async () => {
    const api = new SampleApi().fill()
    api.outage = new ConnectError('the database is not reachable', Code.Unavailable)
    setup({ api })
    expect((await screen.findByRole('alert', {}, soon)).textContent).toBe("The control plane can't answer.")
    expect(document.querySelector('[data-banner]')?.textContent).toContain('The database is not reachable.')
    expect(document.querySelector('[data-connection]')?.getAttribute('data-connection')).toBe('unreachable')
    act(() => void (api.outage = null))
    await waitFor(() => expect(document.querySelector('[data-connection]')?.getAttribute('data-connection')).toBe('live'), soon)
    expect(document.querySelector('[data-banner]')).toBeNull()
  })

  it('keeps what it last showed, and says how old it is', async () => {
    const { api } = setup()
    await row('Nodes', 'node-1')
    api.outage = new ConnectError('the database is not reachable', Code.Unavailable)
    await waitFor(() => expect(document.querySelector('[data-banner]')?.textContent).toMatch(/Shown is what it answered at \d\d:\d\d:\d\d, \d+ s ago/), soon)
    expect((await row('Nodes', 'node-1')).getByText('fresh')).toBeTruthy()
  })

  it('tells a refusal from an outage, and asks again only when told to', async () => {
    const api = new SampleApi().fill()
    api.outage = new ConnectError('role billing may not read decisions', Code.PermissionDenied)
    const { user } = setup({ api })
    await waitFor(() => expect(screen.getAllByText('Role billing may not read decisions.')).toHaveLength(3), soon)
    expect(document.querySelector('[data-banner]')).toBeNull()
    api.outage = null
    await user.click(screen.getAllByRole('button', { name: 'Try again' })[0]!)
    expect(await screen.findByRole('table', { name: 'Nodes' }, soon)).toBeTruthy()
  })
})
