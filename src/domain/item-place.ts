/** Where an item stands: its number in its map, and where that map is inside another one the number of the item around it. */
export type ItemPlace = { outer?: number; item: number }

export const mostItems = 10_000
/** More than a map has. */
export const span = 100_000

/** The number by which the database knows an item: item 7 of what item 3 goes over is 300007. A step has 0. */
export const indexOfItem = ({
  outer = 0,
  item = 0,
}: {
  outer?: number | undefined
  item?: number | undefined
}): number => outer * span + item

export function placeOfItem(index: number): ItemPlace {
  const outer = Math.floor(index / span)
  return outer === 0 ? { item: index } : { outer, item: index % span }
}

/** The items of a map inside of that item, or of a step (0), by the numbers that the database gives them: both ends included. */
export const itemsInside = (index: number): { from: number; to: number } => ({
  from: index * span + 1,
  to: index * span + span - 1,
})
