// The tests start processes that train: two at a time are slower than one after the other.
[assembly: DoNotParallelize]
