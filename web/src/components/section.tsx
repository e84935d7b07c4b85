import { type ReactNode, useId } from 'react'

type Props = {
  title: string
  /** One line beside the title. */
  summary?: ReactNode
  actions?: ReactNode
  children: ReactNode
}

export function Section({ title, summary, actions, children }: Props) {
  const id = useId()
  return (
    <section aria-labelledby={id} className="section">
      <div className="flex min-h-12 flex-wrap items-center gap-x-3 gap-y-2 border-b border-line px-4 py-2">
        <h2 id={id} className="text-[0.9375rem] font-semibold tracking-tight">{title}</h2>
        {summary !== undefined && <div className="text-sm text-muted">{summary}</div>}
        {actions !== undefined && <div className="ml-auto flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </section>
  )
}
