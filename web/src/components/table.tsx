import type { ComponentProps, ReactNode } from 'react'

// Roles are spelled out: on narrow screens rows are laid out as cards, and a table that CSS takes apart loses
// its meaning to screen readers otherwise.

type TableProps = {
  label: string
  /** Names the layout that styles.css gives rows on narrow screens. */
  layout: 'fleet' | 'licenses' | 'decisions'
  head: ReactNode
  children: ReactNode
}

export function Table({ label, layout, head, children }: TableProps) {
  return (
    <div className="@container">
      <table role="table" aria-label={label} className={`table ${layout}`}>
        <thead role="rowgroup"><tr role="row">{head}</tr></thead>
        <tbody role="rowgroup">{children}</tbody>
      </table>
    </div>
  )
}

export function Head({ name, children, numeric }: Pick<CellProps, 'name' | 'children' | 'numeric'>) {
  return <th role="columnheader" scope="col" data-cell={name} className={numeric ? 'numeric' : undefined}>{children}</th>
}

export function Row(props: ComponentProps<'tr'>) {
  return <tr role="row" {...props} />
}

type CellProps = {
  /** The column: its place in a card, and its label there where `labelled`. */
  name: string
  label?: string
  numeric?: boolean
  children: ReactNode
}

export function Cell({ name, label, numeric, children }: CellProps) {
  return (
    <td role="cell" data-cell={name} data-label={label} className={numeric ? 'numeric' : undefined}>{children}</td>
  )
}
