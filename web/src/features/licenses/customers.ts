import type { Customer } from '@gen/tollgate/admin/v1/customer_pb'
import { useQueries, useQuery } from '@tanstack/react-query'
import { useServices } from '@/lib/services'

const pageSize = 1000
const fresh = { list: 30_000, single: 300_000 }

/** Names customers by what their owner calls them: `external_id`. */
export type CustomerNames = (id: string) => { externalId: string; displayName: string } | undefined

/**
 * Customers change seldom: a page of them is read at times, and who is not on it is read alone. Until a name
 * is known, there is none.
 */
export function useCustomerNames(ids: readonly string[]): CustomerNames {
  const { api } = useServices()
  const list = useQuery({
    queryKey: ['customers'],
    queryFn: ({ signal }) => api.customers.listCustomers({ pageSize }, { signal }),
    select: byId,
    staleTime: fresh.list,
    refetchInterval: fresh.list,
  })
  const missing = list.isPending ? [] : [...new Set(ids)].filter((id) => id !== '' && !list.data?.has(id))
  const singles = useQueries({
    queries: missing.map((id) => ({
      queryKey: ['customer', id],
      queryFn: ({ signal }: { signal: AbortSignal }) => api.customers.getCustomer({ id }, { signal }),
      staleTime: fresh.single,
    })),
  })
  return (id) => list.data?.get(id) ?? singles.find((s) => s.data?.customer?.id === id)?.data?.customer
}

function byId({ customers }: { customers: Customer[] }): Map<string, Customer> {
  return new Map(customers.map((c) => [c.id, c]))
}
