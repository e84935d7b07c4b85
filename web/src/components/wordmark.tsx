import { Link } from '@tanstack/react-router'

export function Wordmark() {
  return (
    <Link to="/" className="flex items-center gap-2 rounded text-[0.9375rem] font-semibold tracking-tight">
      <Mark className="size-6" />
      Tollgate
    </Link>
  )
}

/** A barrier, raised. */
export function Mark({ className }: { className: string }) {
  return (
    <svg viewBox="0 0 32 32" aria-hidden className={className}>
      <rect width="32" height="32" rx="8" className="fill-brand" />
      <path d="M8.5 8v16M8.5 19.5 24 10.5" fill="none" className="stroke-on-brand" strokeWidth="3.4" strokeLinecap="round" />
      <circle cx="8.5" cy="19.5" r="2.9" className="fill-on-brand" />
    </svg>
  )
}
