import type { CustomerNames } from '@/features/licenses/customers'
import { none } from '@/lib/format'

export function CustomerName({ id, names }: { id: string; names: CustomerNames }) {
  if (id === '') return <span className="text-muted">{none}</span>
  const customer = names(id)
  return <span title={customer?.displayName || id}>{customer?.externalId || id}</span>
}
