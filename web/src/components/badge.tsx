import type { LucideIcon } from 'lucide-react'

export type Tone = 'good' | 'warn' | 'bad' | 'neutral' | 'info'

const colours: Record<Tone, string> = {
  good: 'bg-good-soft text-good',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
  info: 'bg-info-soft text-info',
  neutral: 'bg-neutral-soft text-muted',
}

/** A word in a colour: the word says it, the colour only helps to find it. */
export function Badge({ tone, icon: Icon, children }: { tone: Tone; icon?: LucideIcon; children: string }) {
  return (
    <span className={`inline-flex items-center align-middle gap-1 rounded-full py-0.5 pr-2 pl-1.5 text-xs font-medium whitespace-nowrap ${colours[tone]}`}>
      {Icon ? <Icon aria-hidden className="size-3" strokeWidth={2.25} /> : <span aria-hidden className="size-0.5" />}
      {children}
    </span>
  )
}
