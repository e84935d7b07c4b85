import { Outlet } from '@tanstack/react-router'
import { LogOut } from 'lucide-react'
import { Wordmark } from '@/components/wordmark'
import { ConnectionBanner } from '@/features/connection/banner'
import { ConnectionIndicator } from '@/features/connection/indicator'
import { usePulse } from '@/features/connection/use-pulse'
import { CurrentEpoch } from '@/features/fleet/current-epoch'
import { WhoAmI } from '@/features/session/who-am-i'
import { timeZone } from '@/lib/format'

export function Shell({ signOut }: { signOut: () => void }) {
  const { state } = usePulse()
  const current = state !== 'unreachable' && state !== 'old'
  return (
    <div className="flex min-h-dvh flex-col">
      <a href="#content" className="skip-link">Skip to content</a>
      <header className="sticky top-0 z-10 border-b border-line bg-surface">
        <div className="page flex flex-wrap items-center gap-x-3 gap-y-2 py-2.5 sm:gap-x-5">
          <Wordmark />
          <CurrentEpoch />
          <ConnectionIndicator />
          <div className="ml-auto flex items-center gap-3">
            <WhoAmI />
            <button type="button" onClick={signOut} className="button">
              <LogOut aria-hidden className="size-3.5" />
              <span className="max-sm:sr-only">Sign out</span>
            </button>
          </div>
        </div>
        <ConnectionBanner />
      </header>
      <main id="content" tabIndex={-1} data-current={current} className="page grow py-5 outline-none">
        <Outlet />
      </main>
      <footer className="page pb-6 text-xs text-muted">Times are in {timeZone}.</footer>
    </div>
  )
}
