import { formatAgo, formatInstant } from '@/lib/format'
import { useServices } from '@/lib/services'
import { useNow } from '@/lib/use-now'

/** How long ago an instant of the server's was, by the server's clock. */
export function Ago({ at }: { at: Date }) {
  useNow()
  const { clock } = useServices()
  return <time dateTime={at.toISOString()} title={formatInstant(at)}>{formatAgo(clock.now() - at.getTime())}</time>
}
