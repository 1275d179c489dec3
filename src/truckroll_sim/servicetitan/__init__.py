"""ServiceTitan in a box, written from the vendor sheet and the vendor's specification.

One module of the API each: `jpm`, `crm` with `bookings` and `leads`, `dispatch`, `settings`
(with marketing), `accounting`, `forms`; the feeds are in `export`. Below them `work` and
`booking` hold the state machine of jobs, `tenant` and `rows` the state. `office` is what people
do in the vendor's screens and mobile app, `company` the sample company, `system` the way in.

What the sheet leaves open is decided here as follows, and nothing should rely on it:
an assignment alone does not touch its appointment's `modifiedOn`; a job that completes leaves
visits without a technician as `unused`; unassigning somebody who is not there is a 400; the
names of history events are ours; crm leaves an empty field out, since its document allows no
null there. Whom the vendor tells of a booked, moved or cancelled visit is unknown:
`tenant.Habits.assumed_notices` lets a test assume the worst.

Not here: webhooks (their events and payloads are not published), projects, tasks, payments,
booking-provider tags, and making people or changing invoices over the API.
"""

from truckroll_sim.servicetitan.system import ServiceTitan

__all__ = ["ServiceTitan"]
