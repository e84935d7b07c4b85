import { type ReactNode, createContext, use } from 'react'
import type { Api } from '@/lib/api'
import type { ServerClock } from '@/lib/clock'

/** What a signed-in page works with. */
export type Services = { api: Api; clock: ServerClock }

const Context = createContext<Services | null>(null)

export function ServicesProvider({ services, children }: { services: Services; children: ReactNode }) {
  return <Context value={services}>{children}</Context>
}

export function useServices(): Services {
  const services = use(Context)
  if (!services) throw new Error('useServices outside of ServicesProvider')
  return services
}
