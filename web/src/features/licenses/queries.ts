import { useLiveQuery } from '@/lib/live-query'
import { useServices } from '@/lib/services'

const pageSize = 50

export function useLicenses(pageToken: string) {
  const { api } = useServices()
  return useLiveQuery({
    key: ['licenses', pageToken],
    read: (signal) => api.licenses.listLicenses({ pageSize, pageToken }, { signal }),
  })
}
