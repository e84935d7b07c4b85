import { Link } from '@tanstack/react-router'
import { Empty } from '@/components/empty'

export function NotFound() {
  return (
    <Empty title="There is no page at this address">
      <Link to="/" className="link">Go to the overview</Link>
    </Empty>
  )
}
