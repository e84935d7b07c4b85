import type { Decision, TraceStep } from '@gen/tollgate/admin/v1/decision_pb'
import { Check, Hourglass, Minus, TriangleAlert, X } from 'lucide-react'

type Mark = 'passed' | 'skipped' | 'throttle' | 'block' | 'forward' | 'failed'

const marks = {
  passed: { icon: Check, colour: 'bg-good-soft text-good' },
  forward: { icon: Check, colour: 'bg-good text-surface' },
  skipped: { icon: Minus, colour: 'bg-neutral-soft text-muted' },
  throttle: { icon: Hourglass, colour: 'bg-warn text-surface' },
  block: { icon: X, colour: 'bg-bad text-surface' },
  failed: { icon: TriangleAlert, colour: 'bg-warn text-surface' },
} as const

/** The decision order, step by step, up to the one that decided. */
export function Trace({ steps, decision }: { steps: readonly TraceStep[]; decision: Decision }) {
  return (
    <div>
      <h3 className="mb-3 text-sm font-semibold">Steps</h3>
      <ol className="trace">
        {steps.map((step) => <Step key={step.step} step={step} mark={markOf(step, decision)} />)}
      </ol>
    </div>
  )
}

/** Which sign a step gets. Its result stays in the server's word beside it. */
export function markOf({ result }: TraceStep, { code, outcome }: Decision): Mark {
  if (result === 'passed' || result === 'skipped') return result
  if (result !== code) return 'passed'
  if (outcome === 'throttle' || outcome === 'block') return outcome
  return code.startsWith('ok') ? 'forward' : 'failed'
}

function Step({ step, mark }: { step: TraceStep; mark: Mark }) {
  const { icon: Icon, colour } = marks[mark]
  const decided = mark !== 'passed' && mark !== 'skipped'
  return (
    <li className="flex gap-3" data-step={step.step} data-mark={mark} aria-current={decided ? 'step' : undefined}>
      <span aria-hidden className={`step-sign grid size-5 shrink-0 place-items-center rounded-full ${colour}`}>
        <Icon className="size-3" strokeWidth={2.5} />
      </span>
      <div className="grid min-w-0 grow grid-cols-[5rem_1fr] gap-x-3 pb-3 text-sm">
        <span className={mark === 'skipped' ? 'text-muted' : 'font-medium'}>{step.step}</span>
        <span className="flex min-w-0 flex-wrap gap-x-2">
          <span className={decided ? 'font-mono text-[0.8125rem] font-medium' : 'text-muted'}>{mark === 'skipped' ? 'not reached' : step.result}</span>
          {step.source !== '' && <span className="min-w-0 text-muted [overflow-wrap:anywhere]">{step.source}</span>}
        </span>
      </div>
    </li>
  )
}
