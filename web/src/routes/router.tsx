import { type RouterHistory, createRootRouteWithContext, createRoute, createRouter } from '@tanstack/react-router'
import { NotFound } from '@/routes/not-found'
import { Overview } from '@/routes/overview'
import { Shell } from '@/routes/shell'
import { readOverviewSearch } from '@/routes/search'

export type RouterContext = { signOut: () => void }

const root = createRootRouteWithContext<RouterContext>()({
  component: () => <Shell signOut={root.useRouteContext().signOut} />,
  notFoundComponent: NotFound,
})

const overview = createRoute({
  getParentRoute: () => root,
  path: '/',
  validateSearch: readOverviewSearch,
  component: () => <Overview search={overview.useSearch()} />,
})

const routeTree = root.addChildren([overview])

export function createAppRouter(context: RouterContext, history?: RouterHistory) {
  return createRouter({ routeTree, context, ...(history && { history }) })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createAppRouter>
  }
}
