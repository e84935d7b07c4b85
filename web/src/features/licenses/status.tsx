import { LicenseStatus } from '@gen/tollgate/admin/v1/license_pb'
import { Ban, CalendarClock, CircleCheck, CircleHelp, CirclePause, CircleX, Hourglass, type LucideIcon, TriangleAlert } from 'lucide-react'
import { Badge, type Tone } from '@/components/badge'

const statuses: Record<LicenseStatus, { word: string; tone: Tone; icon: LucideIcon }> = {
  [LicenseStatus.UNSPECIFIED]: { word: 'unknown', tone: 'neutral', icon: CircleHelp },
  [LicenseStatus.SCHEDULED]: { word: 'scheduled', tone: 'info', icon: CalendarClock },
  [LicenseStatus.TRIALING]: { word: 'trialing', tone: 'info', icon: Hourglass },
  [LicenseStatus.ACTIVE]: { word: 'active', tone: 'good', icon: CircleCheck },
  [LicenseStatus.PAST_DUE]: { word: 'past due', tone: 'warn', icon: TriangleAlert },
  [LicenseStatus.SUSPENDED]: { word: 'suspended', tone: 'warn', icon: CirclePause },
  [LicenseStatus.EXPIRED]: { word: 'expired', tone: 'neutral', icon: CircleX },
  [LicenseStatus.CANCELED]: { word: 'canceled', tone: 'neutral', icon: CircleX },
  [LicenseStatus.REVOKED]: { word: 'revoked', tone: 'bad', icon: Ban },
}

/** A licence's status as the control plane computed it for its answer. Dates beside it are never judged here. */
export function Status({ status }: { status: LicenseStatus }) {
  // A newer control plane may send what this build does not know.
  const { word, tone, icon } = statuses[status] ?? statuses[LicenseStatus.UNSPECIFIED]
  return <Badge tone={tone} icon={icon}>{word}</Badge>
}
