namespace Facewire
{
    /// <summary>
    /// Hands frames from the receiving thread to the player loop by swapping: each side always owns one frame, the rest wait here.
    /// Bounded; where the player loop does not come, the oldest is dropped and counted.
    /// </summary>
    public sealed class FrameQueue
    {
        readonly FaceFrame[] _waiting;
        int _first;
        int _count;

        public FrameQueue(int capacity)
        {
            _waiting = new FaceFrame[capacity];
            for (var i = 0; i < capacity; i++) _waiting[i] = new FaceFrame();
        }

        /// <summary>Frames that nobody took in time.</summary>
        public long Dropped { get; private set; }

        /// <summary>Gives the frame away; <paramref name="frame"/> is another one then, to be written over.</summary>
        public void Put(ref FaceFrame frame)
        {
            lock (_waiting)
            {
                if (_count == _waiting.Length)
                {
                    _first = (_first + 1) % _waiting.Length;
                    _count--;
                    Dropped++;
                }
                Swap(ref _waiting[(_first + _count) % _waiting.Length], ref frame);
                _count++;
            }
        }

        /// <summary>Takes the oldest waiting frame in exchange for <paramref name="frame"/>; false where none waits.</summary>
        public bool TryTake(ref FaceFrame frame)
        {
            lock (_waiting)
            {
                if (_count == 0) return false;
                Swap(ref _waiting[_first], ref frame);
                _first = (_first + 1) % _waiting.Length;
                _count--;
                return true;
            }
        }

        /// <summary>Forgets what waits: it belongs to a connection that is gone.</summary>
        public void Clear()
        {
            lock (_waiting) _count = 0;
        }

        static void Swap(ref FaceFrame a, ref FaceFrame b)
        {
            var kept = a;
            a = b;
            b = kept;
        }
    }
}
