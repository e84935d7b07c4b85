// The system's Chromium, as the browser tests drive it.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome']
const flags = [
  '--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

function findChromium() {
  const named = process.env.CHROMIUM_PATH
  if (named) {
    if (existsSync(named)) return named
    throw new Error(`CHROMIUM_PATH names ${named}, which does not exist`)
  }
  for (const name of names) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    } catch {
      // Perhaps under the next name.
    }
  }
  throw new Error('Chromium is not installed. On Debian or Ubuntu: apt-get install -y chromium. Elsewhere: set CHROMIUM_PATH.')
}

/** A browser with a profile of its own, which `close` removes. */
export async function launchChromium(options = {}) {
  const executablePath = findChromium()
  const profile = await mkdtemp(join(tmpdir(), 'tollgate-chromium-'))
  const asRoot = process.getuid?.() === 0
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: asRoot ? [...flags, '--no-sandbox'] : flags,
    chromiumSandbox: !asRoot,
    ...options,
  })
  const close = async () => {
    await context.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  return { context, close }
}
