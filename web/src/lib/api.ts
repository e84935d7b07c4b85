import { type Client, type Interceptor, type Transport, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-web'
import { AccessService } from '@gen/tollgate/admin/v1/access_service_pb'
import { CustomerService } from '@gen/tollgate/admin/v1/customer_service_pb'
import { DecisionService } from '@gen/tollgate/admin/v1/decision_service_pb'
import { FleetService } from '@gen/tollgate/admin/v1/fleet_service_pb'
import { LicenseService } from '@gen/tollgate/admin/v1/license_service_pb'
import type { ServerClock } from '@/lib/clock'

export type Api = {
  access: Client<typeof AccessService>
  customers: Client<typeof CustomerService>
  decisions: Client<typeof DecisionService>
  fleet: Client<typeof FleetService>
  licenses: Client<typeof LicenseService>
}

export function createApi(transport: Transport): Api {
  return {
    access: createClient(AccessService, transport),
    customers: createClient(CustomerService, transport),
    decisions: createClient(DecisionService, transport),
    fleet: createClient(FleetService, transport),
    licenses: createClient(LicenseService, transport),
  }
}

/** What a transport adds to each call, besides what the caller asked for. */
export function callInterceptors(token: string, clock: ServerClock): Interceptor[] {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set('Authorization', `Bearer ${token}`)
    return next(request)
  }
  const readClock: Interceptor = (next) => async (request) => {
    const sent = Date.now()
    const response = await next(request)
    clock.observe(response.header.get('Date'), sent, Date.now())
    return response
  }
  return [authorize, readClock]
}

/** The API of the origin that served the page. */
export function browserTransport(token: string, clock: ServerClock): Transport {
  return createConnectTransport({
    baseUrl: '/',
    // A call that hangs must end, or the page would show old data without a word.
    defaultTimeoutMs: 8_000,
    interceptors: callInterceptors(token, clock),
  })
}
