import { Role } from '@gen/tollgate/admin/v1/token_pb'
import { useQuery } from '@tanstack/react-query'
import { useServices } from '@/lib/services'

const roles: Record<Role, string> = {
  [Role.UNSPECIFIED]: '',
  [Role.VIEWER]: 'viewer',
  [Role.SUPPORT]: 'support',
  [Role.BILLING]: 'billing',
  [Role.EDITOR]: 'editor',
  [Role.OWNER]: 'owner',
}

/** Whose token this is, and its role. */
export function WhoAmI() {
  const { api } = useServices()
  const { data } = useQuery({
    queryKey: ['who-am-i'],
    queryFn: ({ signal }) => api.access.whoAmI({}, { signal }),
    refetchInterval: 60_000,
  })
  if (!data?.token) return null
  return (
    <p className="max-w-60 truncate text-sm text-muted max-md:hidden">
      <span className="text-ink">{data.token.displayName || data.token.id}</span> {roles[data.token.role]}
    </p>
  )
}
