import { durationFromMs } from '@bufbuild/protobuf/wkt'
import type { Epoch } from '@gen/tollgate/admin/v1/epoch_pb'
import type { Node } from '@gen/tollgate/admin/v1/node_pb'
import { compareEpochs } from '@/lib/format'
import { useLiveQuery } from '@/lib/live-query'
import { useServices } from '@/lib/services'

const pageSize = 1000

export function useNodes() {
  const { api } = useServices()
  return useLiveQuery({
    key: ['nodes'],
    read: (signal) => api.fleet.listNodes({ pageSize }, { signal }),
  })
}

/** How many nodes enforce the current epoch, as the control plane counts: not waiting, only asking. */
export function useEnforced() {
  const { api } = useServices()
  return useLiveQuery({
    key: ['enforced'],
    read: (signal) => api.fleet.waitForEpoch({ timeout: durationFromMs(0) }, { signal }),
  })
}

/** The newest epoch that a node says it enforces. */
export function newestEpoch(nodes: readonly Node[]): Epoch | undefined {
  return nodes
    .map((n) => n.epoch)
    .filter((e) => e !== undefined)
    .reduce<Epoch | undefined>((a, b) => (a && compareEpochs(a, b) >= 0 ? a : b), undefined)
}
