// A small admin API with made-up data, for working on the page without a system and for its unit tests. It is
// in no build.
import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect'
import { AccessService } from '@gen/tollgate/admin/v1/access_service_pb'
import { type Customer, CustomerSchema } from '@gen/tollgate/admin/v1/customer_pb'
import { CustomerService } from '@gen/tollgate/admin/v1/customer_service_pb'
import { type Decision, DecisionSchema } from '@gen/tollgate/admin/v1/decision_pb'
import { DecisionService } from '@gen/tollgate/admin/v1/decision_service_pb'
import { EpochSchema } from '@gen/tollgate/admin/v1/epoch_pb'
import { FleetService } from '@gen/tollgate/admin/v1/fleet_service_pb'
import { type License, LicenseSchema, LicenseStatus } from '@gen/tollgate/admin/v1/license_pb'
import { LicenseService } from '@gen/tollgate/admin/v1/license_service_pb'
import { type Node, NodeSchema } from '@gen/tollgate/admin/v1/node_pb'
import { Role } from '@gen/tollgate/admin/v1/token_pb'

export const sampleToken = 'tga_sample'

const day = 86_400_000

export class SampleApi {
  nodes: Node[] = []
  customers: Customer[] = []
  licenses: License[] = []
  /** Newest first. */
  decisions: Decision[] = []
  enforced = { enforced: 0, total: 0 }
  /** Thrown by every call, where set. */
  outage: ConnectError | null = null
  #sequence = 0n

  routes = (router: ConnectRouter): void => {
    router.service(AccessService, {
      whoAmI: (_, context) => {
        this.#admit(context)
        return { token: { id: 'tok_01', displayName: 'laptop', role: Role.OWNER } }
      },
    })
    router.service(FleetService, {
      listNodes: (_, context) => {
        this.#admit(context)
        return { nodes: this.nodes }
      },
      waitForEpoch: (_, context) => {
        this.#admit(context)
        return this.enforced
      },
    })
    router.service(CustomerService, {
      listCustomers: (_, context) => {
        this.#admit(context)
        return { customers: this.customers }
      },
      getCustomer: ({ id }, context) => {
        this.#admit(context)
        const customer = this.customers.find((c) => c.id === id)
        if (!customer) throw new ConnectError(`no customer ${id}`, Code.NotFound)
        return { customer }
      },
    })
    router.service(LicenseService, {
      listLicenses: (_, context) => {
        this.#admit(context)
        return { licenses: this.licenses }
      },
    })
    router.service(DecisionService, {
      searchDecisions: ({ filter, pageSize }, context) => {
        this.#admit(context)
        const terms = [...filter.matchAll(/(\w+) = "([^"]*)"/g)].map(([, field, value]) => ({ field, value }))
        const matches = this.decisions.filter((d) => terms.every(({ field, value }) => d[field as 'outcome'] === value))
        return { decisions: matches.slice(0, pageSize || 50) }
      },
      getDecision: ({ id }, context) => {
        this.#admit(context)
        const decision = this.decisions.find((d) => d.id === id)
        if (!decision) throw new ConnectError(`no decision ${id}`, Code.NotFound)
        return { decision, trace: traceOf(decision) }
      },
    })
  }

  #admit(context: HandlerContext): void {
    if (this.outage) throw this.outage
    if (context.requestHeader.get('Authorization') !== `Bearer ${sampleToken}`) {
      throw new ConnectError('the API token is unknown or was revoked', Code.Unauthenticated)
    }
  }

  decide(init: Partial<Omit<Decision, '$typeName' | '$unknown'>>): Decision {
    const sequence = ++this.#sequence
    const decision = create(DecisionSchema, {
      id: `dec_01K${String(sequence).padStart(23, '0')}`,
      time: timestampFromMs(Date.now()),
      node: `node-${(sequence % 2n) + 1n}`,
      boot: '6b1f0c9a52d94e03a7e1c4f86d20b95e',
      seq: sequence,
      epoch: create(EpochSchema, { generation: 1n, number: 42n }),
      clientIp: '203.0.113.7',
      overheadUs: 84n,
      settled: true,
      ...init,
    })
    this.decisions = [decision, ...this.decisions].slice(0, 500)
    return decision
  }

  /** Two nodes, the four licences of the demo, and a few decisions. */
  fill(): this {
    const now = Date.now()
    this.nodes = [1, 2].map((n) =>
      create(NodeSchema, {
        name: `node-${n}`, version: '0.1.0', boot: '6b1f0c9a52d94e03a7e1c4f86d20b95e', epoch: { generation: 1n, number: 42n },
        state: 'fresh', lagMs: 312n, spoolBytes: 18_240n, proxyRps: n === 1 ? 7.4 : 128, lastSeen: timestampFromMs(now),
      }),
    )
    this.enforced = { enforced: 2, total: 2 }
    const plans = [['free', 'free'], ['pro', 'pro'], ['enterprise', 'enterprise'], ['expired', 'pro']] as const
    this.customers = plans.map(([name]) => create(CustomerSchema, { id: `cus_${name}`, externalId: `${name}-co`, displayName: `${name} company` }))
    this.licenses = plans.map(([name, plan]) =>
      create(LicenseSchema, {
        id: `lic_${name}`, customer: `cus_${name}`, plan, planVersion: 1,
        status: name === 'expired' ? LicenseStatus.EXPIRED : LicenseStatus.ACTIVE,
        startsAt: timestampFromMs(now - 40 * day),
        ...(name === 'expired' && { endsAt: timestampFromMs(now - day) }),
      }),
    )
    for (let i = 0; i < 24; i++) this.request(i, now - (24 - i) * 900)
    return this
  }

  /** One request of the sample traffic. */
  request(n: number, at = Date.now()): Decision {
    const time = timestampFromMs(at)
    const hello = { method: 'GET', path: '/hello', route: 'hello' }
    const forwarded = { outcome: 'forward', code: 'ok', status: 200, upstreamStatus: 200, cost: 1n, bytesIn: 212n, bytesOut: 1_834n }
    const who = (name: string, plan = name) => ({ customer: `cus_${name}`, license: `lic_${name}`, credential: `key_${name}`, plan, planVersion: 1 })
    switch (n % 8) {
      case 1:
        return this.decide({ time, method: 'GET', path: '/reports/2026/q3', route: 'reports', outcome: 'block', code: 'feature_not_in_plan', status: 403, ...who('free') })
      case 3:
        return this.decide({ time, ...hello, outcome: 'throttle', code: 'rate_limited', status: 429, policy: 'free-rate', ...who('free') })
      case 5:
        return this.decide({ time, method: 'POST', path: '/echo/orders/4711/lines?expand=customer,prices', route: 'echo', ...forwarded, status: 201, durationUs: 48_210n, ...who('pro') })
      case 6:
        return this.decide({ time, method: 'GET', path: '/admin', outcome: 'block', code: 'route_unknown', status: 404 })
      case 7:
        return this.decide({ time, ...hello, outcome: 'block', code: 'license_expired', status: 403, ...who('expired', 'pro') })
      case 4:
        return this.decide({ time, method: 'GET', path: '/reports/usage', route: 'reports', ...forwarded, settled: false, status: 0, upstreamStatus: 0, ...who('enterprise') })
      default:
        return this.decide({ time, ...hello, ...forwarded, durationUs: BigInt(1_100 + 37 * (n % 11)), ...who('enterprise') })
    }
  }

  /** What passes by itself in a running system. */
  tick(n: number): void {
    this.request(n)
    this.decisions.filter((d) => !d.settled).slice(1).forEach((d) => Object.assign(d, { settled: true, status: 200, upstreamStatus: 200, durationUs: 6_120n }))
    this.nodes.forEach((node, i) => Object.assign(node, { lastSeen: timestampFromMs(Date.now()), lagMs: BigInt(200 + ((n * 97 + i * 311) % 700)) }))
  }
}

const steps = ['read', 'route', 'identify', 'license', 'features', 'rates', 'quotas', 'forward'] as const

function traceOf(d: Decision) {
  const sources: Record<(typeof steps)[number], string> = {
    read: 'epoch 1.42', route: d.route ? `route ${d.route}` : `${d.method} ${d.path}`, identify: `credential ${d.credential}`, license: `license ${d.license}`,
    features: `plan ${d.plan}@1`, rates: d.policy ? `policy ${d.policy} of plan ${d.plan}@1` : `plan ${d.plan}@1`, quotas: `plan ${d.plan}@1`,
    forward: d.upstreamStatus ? `upstream status ${d.upstreamStatus}` : `node ${d.node}`,
  }
  const decidedAt: Record<string, (typeof steps)[number]> = { route_unknown: 'route', license_expired: 'license', feature_not_in_plan: 'features', rate_limited: 'rates' }
  const last = steps.indexOf(decidedAt[d.code] ?? 'forward')
  return steps.map((step, i) => ({ step, result: i < last ? 'passed' : i === last ? d.code : 'skipped', source: i <= last ? sources[step] : '' }))
}
