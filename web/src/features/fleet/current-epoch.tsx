import { newestEpoch, useEnforced, useNodes } from '@/features/fleet/queries'
import { formatEpoch } from '@/lib/format'

export function CurrentEpoch() {
  const { data: listed } = useNodes()
  const { data: counted } = useEnforced()
  const epoch = listed && newestEpoch(listed.nodes)
  if (!epoch) return null
  // Epochs are known from nodes: where none enforces the current one, it is newer than any that can be shown.
  const newer = counted !== undefined && counted.total > 0 && counted.enforced === 0
  return (
    <p className="text-sm text-muted" title={`Generation ${epoch.generation}, number ${epoch.number}: the newest that a node enforces`}>
      Epoch <span className="font-medium text-ink tabular-nums" data-epoch>{formatEpoch(epoch)}</span>
      {newer && ', a newer one is on its way'}
    </p>
  )
}
