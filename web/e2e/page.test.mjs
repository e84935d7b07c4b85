// The page in a real Chromium, against a running system.
//   TOLLGATE_READY_FILE   written by `tollgate up --demo --ready-file`
//   TOLLGATE_SCREENSHOTS  folder for pictures of what was tested, optional
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { launchChromium } from '../dev/chromium.mjs'

const soon = 10_000
const demo = { 'free-co': 'active', 'pro-co': 'active', 'enterprise-co': 'active', 'expired-co': 'expired' }

let system
let browser
let page
/** What the browser complained of: errors of scripts, refusals by the content security policy, missing files. */
const complaints = []
const requested = new Set()

before(async () => {
  const file = process.env.TOLLGATE_READY_FILE
  assert.ok(file, 'TOLLGATE_READY_FILE is not set: start a system with `tollgate up --demo --ready-file FILE` and name its file')
  system = JSON.parse(await readFile(file, 'utf8'))
  browser = await launchChromium({ viewport: { width: 1440, height: 900 } })
  page = browser.context.pages()[0] ?? (await browser.context.newPage())
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => requested.add(new URL(request.url()).origin))
})

after(() => browser?.close())

async function picture(name) {
  const folder = process.env.TOLLGATE_SCREENSHOTS
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}

async function assertAccessible(where) {
  await page.evaluate(await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8'))
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  const found = violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`)
  assert.deepEqual(found, [], `${where} is not accessible`)
}

const cells = (row) => page.locator(row).evaluate((tr) => Object.fromEntries([...tr.querySelectorAll('td')].map((td) => [td.dataset.cell, td.innerText.trim()])))

test('a stranger is asked for a token, and a wrong one is refused in the words of the server', async () => {
  const response = await page.goto(`${system.admin_url}/`)
  assert.match(response.headers()['content-security-policy'] ?? '', /default-src 'self'/)
  await page.getByLabel('API token').fill('tga_wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').waitFor({ timeout: soon })
  assert.notEqual((await page.getByRole('alert').innerText()).trim(), '')
  await assertAccessible('the sign-in form')
  await picture('sign-in')
  // Chromium reports the refusal itself.
  const refusals = complaints.splice(0)
  assert.ok(refusals.every((c) => c.includes('401')), refusals.join('\n'))
})

test('a token in the address signs in, and is gone from the address', async () => {
  await page.goto(`${system.admin_url}/#token=${system.admin_token}`)
  await page.getByRole('heading', { name: 'Fleet' }).waitFor({ timeout: soon })
  assert.ok(!page.url().includes('tga_'), 'the address still holds the token')
  const kept = await page.evaluate(() => ({ local: localStorage.length, cookies: document.cookie }))
  assert.deepEqual(kept, { local: 0, cookies: '' })
})

test('every node is fresh and enforces the newest epoch', async () => {
  for (const { name } of system.nodes) {
    const row = `[data-node="${name}"]`
    await page.locator(`${row} [data-cell="state"]`, { hasText: 'fresh' }).waitFor({ timeout: soon })
    assert.match((await cells(row)).epoch, /^\d+\.\d+$/)
  }
  const all = system.nodes.length
  await page.locator(`[data-enforced="${all}/${all}"]`).waitFor({ timeout: soon })
  await page.locator('[data-connection="live"]').waitFor({ timeout: soon })
})

test('the demo’s licences are shown with the status that the control plane computed', async () => {
  for (const [customer, status] of Object.entries(demo)) {
    const row = page.getByRole('table', { name: 'Licences' }).getByRole('row', { name: customer })
    await row.getByText(status, { exact: true }).waitFor({ timeout: soon })
  }
})

test('a denied request appears by itself, and says why', async () => {
  const marker = `/reports/x${Date.now()}`
  const denied = await fetch(system.proxy_url + marker, { headers: { Authorization: `Bearer ${system.demo.keys.free}` } })
  assert.equal(denied.status, 403)
  const { code, decision_id: id } = await denied.json()
  assert.equal(code, 'feature_not_in_plan')

  const row = page.locator(`[data-decision="${id}"]`)
  await row.waitFor({ timeout: soon })
  assert.equal(await row.getAttribute('data-code'), code)
  const shown = await cells(`[data-decision="${id}"]`)
  assert.equal(shown.outcome, 'block')
  assert.equal(shown.customer, 'free-co')
  assert.equal(shown.status, '403')
  assert.ok(shown.request.endsWith(marker), shown.request)
  await assertAccessible('the overview')
  await picture('overview')

  await row.getByRole('link').focus()
  await page.keyboard.press('Enter')
  const panel = page.getByRole('dialog', { name: 'Why this decision' })
  await panel.locator('[data-step="features"][data-mark="block"]').waitFor({ timeout: soon })
  assert.equal(await panel.locator('[data-step="license"]').getAttribute('data-mark'), 'passed')
  assert.equal(await panel.locator('[data-step="quotas"]').getAttribute('data-mark'), 'skipped')
  await panel.getByText(id, { exact: true }).waitFor()
  await assertAccessible('the decision panel')
  await picture('decision')
  await page.keyboard.press('Escape')
  await panel.waitFor({ state: 'detached' })
  assert.equal(await page.evaluate(() => document.activeElement?.closest('tr')?.dataset.decision), id, 'focus is back where it was')
})

test('a forwarded request is shown as forwarded', async () => {
  const forwarded = await fetch(`${system.proxy_url}/hello`, { headers: { Authorization: `Bearer ${system.demo.keys.enterprise}` } })
  assert.equal(forwarded.status, 200)
  const row = page.locator(`[data-decision="${forwarded.headers.get('Tollgate-Decision')}"]`)
  await row.getByText('forward', { exact: true }).waitFor({ timeout: soon })
  await row.getByText('200', { exact: true }).waitFor({ timeout: soon })
})

test('decisions narrow to an outcome and a licence, and the address can be shared', async () => {
  await page.getByRole('table', { name: 'Licences' }).getByRole('row', { name: 'free-co' }).getByRole('link').click()
  await page.locator('label', { hasText: 'block' }).click()
  await page.waitForFunction(() => /outcome=block/.test(location.search) && /license=lic_/.test(location.search))
  await page.reload()
  await page.locator('[data-code="feature_not_in_plan"]').first().waitFor({ timeout: soon })
  assert.equal(await page.locator('[data-code="ok"]').count(), 0)
  await page.getByRole('link', { name: 'Tollgate' }).click()
})

test('the page is dark where the reader prefers that, and fits a phone', async () => {
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.locator('[data-decision]').first().waitFor({ timeout: soon })
  await assertAccessible('the dark overview')
  await picture('overview-dark')
  await page.setViewportSize({ width: 360, height: 740 })
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.equal(overflow, 0, 'the page scrolls sideways at 360 px')
  await assertAccessible('the overview on a phone')
  await picture('overview-phone')
})

test('it loads nothing from elsewhere, and the browser has no complaint', () => {
  assert.deepEqual([...requested], [new URL(system.admin_url).origin])
  assert.deepEqual(complaints, [])
})
