import { CircleAlert } from 'lucide-react'
import { type FormEvent, useId, useRef, useState } from 'react'
import { Mark } from '@/components/wordmark'
import { words } from '@/lib/errors'
import { isSendable } from '@/lib/token'

type Props = {
  /** Why the session before ended, in the server's words. */
  notice: string | null
  /** Resolves where the server accepts the token; rejects with its words otherwise. */
  check: (token: string) => Promise<void>
  onSignIn: (token: string) => void
}

export function SignIn({ notice, check, onSignIn }: Props) {
  const [message, setMessage] = useState(notice)
  const [busy, setBusy] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  const ids = { input: useId(), hint: useId(), message: useId() }

  async function submit(event: FormEvent) {
    event.preventDefault()
    const token = input.current?.value.trim() ?? ''
    if (token === '') return refuse('Paste a token first.')
    if (!isSendable(token)) return refuse('A token has letters, digits and _ only. This holds other characters.')
    setBusy(true)
    setMessage(null)
    try {
      await check(token)
    } catch (error) {
      return refuse(words(error))
    } finally {
      setBusy(false)
    }
    onSignIn(token)
  }

  function refuse(why: string) {
    setMessage(why)
    input.current?.focus()
  }

  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <form onSubmit={(event) => void submit(event)} className="grid w-full max-w-sm gap-5" noValidate>
        <div className="grid gap-3">
          <Mark className="size-10" />
          <h1 className="text-2xl font-semibold tracking-tight">Sign in to Tollgate</h1>
        </div>
        {message !== null && (
          <p id={ids.message} role="alert" className="flex gap-2 rounded-lg bg-bad-soft px-3 py-2.5 text-sm text-bad">
            <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
            <span className="min-w-0 [overflow-wrap:anywhere]">{message}</span>
          </p>
        )}
        <div className="grid gap-1.5">
          <label htmlFor={ids.input} className="text-sm font-medium">API token</label>
          <input
            ref={input}
            id={ids.input}
            type="password"
            name="token"
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
            placeholder="tga_…"
            aria-invalid={message !== null}
            aria-describedby={message === null ? ids.hint : `${ids.message} ${ids.hint}`}
            className="h-10 rounded-lg border border-line-strong bg-surface px-3 font-mono text-sm placeholder:text-muted"
          />
          <p id={ids.hint} className="text-sm text-muted">
            It stays in this tab: closing the tab forgets it. <code className="font-mono text-[0.8125rem]">tollgate up</code> keeps one in its
            data folder, as <code className="font-mono text-[0.8125rem]">admin-token</code>.
          </p>
        </div>
        <button type="submit" disabled={busy} className="h-10 rounded-lg bg-brand text-sm font-medium text-on-brand enabled:hover:bg-brand-strong disabled:opacity-60">
          {busy ? 'Checking …' : 'Sign in'}
        </button>
      </form>
    </main>
  )
}
