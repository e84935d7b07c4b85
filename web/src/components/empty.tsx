import type { ReactNode } from 'react'

/** Where there is nothing to show: says so, and what to do next. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="grid justify-items-center gap-1.5 px-4 py-10 text-center text-sm text-muted">
      <p className="font-medium text-ink">{title}</p>
      {children !== undefined && <div className="grid max-w-prose justify-items-center gap-2">{children}</div>}
    </div>
  )
}

export function CodeLine({ children }: { children: string }) {
  return <code className="max-w-full rounded-md border border-line bg-canvas px-2 py-1 font-mono text-xs text-ink [overflow-wrap:anywhere]">{children}</code>
}
